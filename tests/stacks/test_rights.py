"""What runs in production may do what it does, and nothing else."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from deploy import cdk
from tests.stacks.rights import ACCOUNT, DISTRIBUTION, Account, Request, allowed, strangers, without_one

FLEETS = {"AnbWeb": "web", "AnbWorker": "worker"}
# An operator, whom only what buckets and queues say themselves can hold back
OPERATOR = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
SCRIPTS = cdk.ROOT / "userdata"
# Dead letters are looked at from the operator's own machine; every other command runs beside the API
FROM_THE_DESK = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}

pytestmark = pytest.mark.skipif(
    not (cdk.ROOT / "node_modules/@cloud-copilot/iam-simulate").exists(),
    reason="what judges policies is not installed: run npm ci",
)


@pytest.fixture(scope="module")
def account(production: Any) -> Account:
    return Account(production.assembly)


def made(account: Account, fleet: str) -> list[Request]:
    """What is asked of AWS on a fleet's instances."""
    operated = account.requests("ops") if FLEETS[fleet] == "web" else set()
    beside = {request for request in operated if request.action not in FROM_THE_DESK}
    return sorted(account.requests(FLEETS[fleet]) | account.boot_requests(fleet) | beside, key=str)


def refused(account: Account, fleet: str, rights: list[Any]) -> list[Request]:
    """What a fleet does and may not."""
    own = made(account, fleet)
    answers = allowed([(request, rights) for request in own], account.resource_policies())
    return [request for request, is_allowed in zip(own, answers, strict=True) if not is_allowed]


def never_made(account: Account, fleet: str) -> list[Request]:
    """What others do, and what a fleet does itself to things that are not ours."""
    own = set(made(account, fleet))
    for_viewers = {replace(request, distribution=None) for request in account.served()}
    others = account.requests("ops").union(for_viewers, *(made(account, other) for other in FLEETS)) - own
    return sorted(others | {strangers(request) for request in own}, key=str)


def excessive(account: Account, fleet: str, rights: list[Any]) -> list[Request]:
    """What a fleet may do and never does."""
    foreign = never_made(account, fleet)
    answers = allowed([(request, rights) for request in foreign], account.resource_policies())
    return [request for request, is_allowed in zip(foreign, answers, strict=True) if is_allowed]


def needless(account: Account, fleet: str, rights: list[Any]) -> list[str]:
    """The rights without which a fleet could do all the same."""
    cases = [(name, request, rest) for name, rest in without_one(rights) for request in made(account, fleet)]
    answers = allowed([(request, rest) for _, request, rest in cases], account.resource_policies())
    needed = {name for (name, _, _), is_allowed in zip(cases, answers, strict=True) if not is_allowed}
    return sorted({name for name, _, _ in cases} - needed)


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_fleet_may_do_whatever_it_does(account, fleet):
    assert refused(account, fleet, account.rights(fleet)) == []


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_fleet_may_do_nothing_that_only_others_do(account, fleet):
    assert excessive(account, fleet, account.rights(fleet)) == []


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_fleet_needs_every_right_that_it_has(account, fleet):
    assert needless(account, fleet, account.rights(fleet)) == []


def test_buckets_and_queues_hold_nobody_back_who_comes_over_tls(account):
    own = [(request, OPERATOR) for request in account.requests("ops")]

    assert own
    assert all(allowed(own, account.resource_policies()))


def test_buckets_and_queues_need_every_statement_against_calls_that_others_can_read(account):
    policies = account.resource_policies()
    ours = {request for caller in ("web", "worker", "ops") for request in account.requests(caller)}
    readable = [replace(request, is_secure=False) for request in ours if request.owner in policies]
    readable += [replace(request, tls_version="1.1") for request in ours if request.action.startswith("s3:")]
    cases = [(request, OPERATOR) for request in readable]

    assert not any(allowed(cases, policies))
    for owner in {request.owner for request in readable}:
        for statement in policies[owner]:
            if statement["Effect"] == "Allow":
                continue  # of others, such as CloudFront
            rest = [other for other in policies[owner] if other is not statement]
            assert any(allowed(cases, {**policies, owner: rest})), statement


def test_cloudfront_reads_what_is_published(account):
    published = [(request, ()) for request in account.served()]

    assert {request.resource.split("/")[1] for request, _ in published} == {"processed", "thumbnails"}
    assert all(allowed(published, account.resource_policies()))


def test_cloudfront_does_nothing_else_with_the_bucket(account):
    everything = {request for caller in ("web", "worker", "ops") for request in account.requests(caller)}
    asked = {replace(it, distribution=DISTRIBUTION) for it in everything if it.action.startswith("s3:")}
    others = [(request, ()) for request in asked - account.served()]

    assert {"uploads", "incoming"} <= {
        request.resource.split("/")[1] for request, _ in others if "/" in request.resource
    }
    assert not any(allowed(others, account.resource_policies()))


@pytest.mark.parametrize("distribution", [DISTRIBUTION.replace(ACCOUNT, "210987654321"), None])
def test_nobody_elses_distribution_reads_what_is_published(account, distribution):
    foreign = [(replace(request, distribution=distribution), ()) for request in account.served()]

    assert foreign
    assert not any(allowed(foreign, account.resource_policies()))


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_right_names_its_actions(account, fleet):
    assert "*" not in str([statement["Action"] for statement in account.rights(fleet)])


ADDED = {
    "a queue's dead letters": ("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:anbmedia-*"),
    "every object": ("s3:GetObject", "arn:aws:s3:::*"),
    "every secret": ("secretsmanager:GetSecretValue", "*"),
    "all there is to do with a group": ("autoscaling:*", "*"),
    "an action that nobody calls": ("s3:GetBucketPolicy", "arn:aws:s3:::anbmedia-*"),
}


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize("fleet", FLEETS)
def test_a_right_too_many_is_noticed(account, fleet, added):
    action, resource = ADDED[added]
    rights = [*account.rights(fleet), {"Effect": "Allow", "Action": action, "Resource": resource}]

    assert excessive(account, fleet, rights) or needless(account, fleet, rights)


def test_user_data_calls_aws_for_nothing_but_artefacts():
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.sh"))

    assert set(re.findall(r"\baws (?=[a-z])([\w-]+ [\w-]+)", scripts)) == {"s3 cp"}
    assert len(re.findall(r"/opt/aws/bin/[\w-]+", scripts)) == scripts.count("/opt/aws/bin/cfn-signal")


def test_the_log_agent_writes_to_its_group_and_our_namespace_and_looks_nothing_up():
    agent = json.loads((SCRIPTS / "cloudwatch-agent.json").read_text(encoding="utf-8").replace("@WORKERS@", ""))

    # A dimension of the group's name would have it ask for the instance's tags
    assert agent["metrics"]["append_dimensions"] == {"InstanceId": "${aws:InstanceId}"}
    assert agent["metrics"]["namespace"] == "@NAMESPACE@"
    files = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert {(file["log_group_name"], "retention_in_days" in file) for file in files} == {("@LOG_GROUP@", False)}
