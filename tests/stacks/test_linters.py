"""What other people's rules say of the templates."""

import subprocess
import sys
from pathlib import Path

from stacks.rules.acknowledgements import acknowledgements


def reported(synthesis):
    """Return what AwsSolutions found and we keep: (construct, rule, reason)."""
    (nag,) = (report for report in synthesis.report["pluginReports"] if report["pluginName"] == "AwsSolutions")
    assert nag["conclusion"] == "success"
    return [
        (
            construct["constructPath"],
            kept["acknowledgedId"].removeprefix("AwsSolutions::AwsSolutions-"),
            kept["reason"],
        )
        for kept in nag["suppressedViolations"]
        for construct in kept["violatingConstructs"]
    ]


def test_every_finding_is_acknowledged_on_its_construct_with_a_reason(synthesis):
    declared = [
        (kept.path, kept.rule, kept.reason)
        for kept in acknowledgements(synthesis.profile)
        if kept.id.startswith("AwsSolutions::")
    ]

    assert sorted(reported(synthesis)) == sorted(declared)


def test_the_lab_keeps_ten_findings(academy):
    assert sorted((path, rule) for path, rule, _ in reported(academy)) == [
        ("AnbData/Database/Resource", "RDS10"),
        ("AnbData/Database/Resource", "RDS11"),
        ("AnbData/Database/Resource", "RDS3"),
        ("AnbData/Secret/Resource", "SMG4"),
        ("AnbNetwork/BalancerGroup/Resource", "EC23"),
        ("AnbNetwork/Logs/Resource", "S1"),
        ("AnbWeb/AddressKey/Resource", "SMG4"),
        ("AnbWeb/Fleet/Group/ASG", "AS3"),
        ("AnbWeb/TokenSecret/Resource", "SMG4"),
        ("AnbWorker/Fleet/Group/ASG", "AS3"),
    ]


def test_production_keeps_these_findings(production):
    policies = "Fleet/Role/DefaultPolicy/Resource"
    rules = sorted((path, rule.partition("[")[0]) for path, rule, _ in reported(production))

    assert rules == sorted(
        [
            ("AnbData/Database/Resource", "RDS11"),
            ("AnbData/Secret/Resource", "SMG4"),
            ("AnbNetwork/Logs/Resource", "S1"),
            ("AnbWeb/AddressKey/Resource", "SMG4"),
            ("AnbWeb/Fleet/Group/ASG", "AS3"),
            ("AnbWeb/Site/Distribution/Resource", "CFR1"),
            ("AnbWeb/Site/Distribution/Resource", "CFR3"),
            ("AnbWeb/TokenSecret/Resource", "SMG4"),
            ("AnbWorker/Fleet/Group/ASG", "AS3"),
            *((f"{stack}/Fleet/Role/Resource", "IAM4") for stack in ("AnbWeb", "AnbWorker")),
            *((f"AnbWeb/{policies}", "IAM5"),) * 6,
            *((f"AnbWorker/{policies}", "IAM5"),) * 6,
        ]
    )


def test_there_is_something_to_check(synthesis):
    assert sum(1 for _ in synthesis.assembly.resources()) > 70


def test_cfn_lint_finds_nothing(academy, production):
    folders = [f"{synthesis.folder}/*.template.json" for synthesis in (academy, production)]
    # W3005: CDK itself adds a dependency to every request-count policy that its references already imply
    # E3691: it knows MySQL's versions with their last number alone: https://github.com/aws-cloudformation/cfn-lint/issues/3849
    program = Path(sys.executable).with_name("cfn-lint")
    options = ["--ignore-checks", "W3005", "E3691", "--regions", "us-east-1", "--template"]
    done = subprocess.run([program, *options, *folders], check=False, capture_output=True, text=True)

    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
