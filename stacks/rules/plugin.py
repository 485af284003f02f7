"""The rules as a part of synthesis: what breaks one fails `cdk synth`, which names the construct and the limit."""

from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import jsii

from stacks.profiles import Profile
from stacks.rules.acknowledgements import acknowledge
from stacks.rules.assembly import Assembly, Finding, Rule, stack_of
from stacks.rules.edge import EDGE_RULES
from stacks.rules.lab import LAB_RULES
from stacks.rules.promises import PROMISES


def attach_rules(app: cdk.App, profile: Profile) -> None:
    """Have the synthesis check our own rules and AwsSolutions, with what we acknowledge of the latter."""
    acknowledge(app, profile)
    cdk.Validations.of(app).add_plugins(RulesPlugin(profile), cdk_nag.AwsSolutionsChecks(app))


def rules_for(profile: Profile) -> tuple[Rule, ...]:
    """Return the rules that the profile's account is held to."""
    return PROMISES + (LAB_RULES if profile.lab_limits else ()) + (EDGE_RULES if profile.cloudfront else ())


def check(assembly: Assembly, rules: tuple[Rule, ...]) -> list[Finding]:
    """Return everything that breaks a rule."""
    return [finding for rule in rules for finding in rule.findings(assembly)]


@jsii.implements(cdk.IPolicyValidationPlugin)
class RulesPlugin:
    """Checks the written templates."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @property
    def name(self) -> str:
        """What the report calls us."""
        return "AnbRules"

    @property
    def version(self) -> str:
        """Our version."""
        return "1"

    @property
    def rule_ids(self) -> list[str]:
        """The names of the rules."""
        return [rule.name for rule in rules_for(self._profile)]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Report what breaks a rule."""
        paths = {stack_of(path): path for path in map(Path, context.template_paths)}
        assembly = Assembly.read(paths.values(), region=self._profile.region)
        findings = check(assembly, rules_for(self._profile))
        return cdk.PolicyValidationPluginReport(
            success=not findings,
            plugin_version=self.version,
            violations=[_violation(finding, str(paths[finding.stack])) for finding in findings],
        )


def _violation(finding: Finding, template_path: str) -> cdk.PolicyViolation:
    where = cdk.PolicyViolatingResource(
        resource_logical_id=finding.logical_id or finding.stack, template_path=template_path, locations=[]
    )
    return cdk.PolicyViolation(
        rule_name=finding.rule,
        description=f"{finding.stack} {finding.logical_id}: {finding.sentence}",
        severity="error",
        violating_resources=[where],
    )
