"""What a person is told before anything is created."""

import io
import stat
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ProfileNotFound
from botocore.stub import ANY, Stubber

from deploy import cdk, cloudformation, preflight, versions
from deploy.__main__ import main
from deploy.account import PROBES, Account, check_rights, open_account
from deploy.bootstrap import bootstrap
from deploy.errors import CannotDeploy
from deploy.preflight import Target, check, profile_of
from stacks.profiles import ACADEMY, PRODUCTION

NUMBER, REGION = "123456789012", "us-east-1"
ASSETS = f"anb-assets-{NUMBER}-{REGION}"
EMPTY: dict[str, dict[str, Any]] = {
    "autoscaling": {"AutoScalingGroups": []}
}  # the one answer that may not leave its list out
OWNER = {"Bucket": ASSETS, "ExpectedBucketOwner": NUMBER}
SESSION: Any = boto3.session.Session(
    "key", "secret", region_name=REGION
)  # one, as it reads each service's model once
CALLER = {"Account": NUMBER, "Arn": f"arn:aws:sts::{NUMBER}:assumed-role/voclabs/user", "UserId": "A:user"}
AGAIN = r"start the lab again and copy its credentials"


@dataclass
class Scripted:
    """Clients whose answers a test writes down beforehand."""

    _stubs: dict[str, Stubber] = field(default_factory=dict)

    def client(self, service: str, **_settings: Any) -> Any:
        return self.stub(service).client

    def stub(self, service: str) -> Stubber:
        if service not in self._stubs:
            self._stubs[service] = Stubber(SESSION.client(service))
            self._stubs[service].activate()
        return self._stubs[service]

    def answer(self, service: str, call: str, answer: dict[str, Any], asked: Any = None) -> None:
        self.stub(service).add_response(call, answer, asked)

    def refuse(self, service: str, call: str, code: str, message: str = "no", status: int = 400) -> None:
        self.stub(service).add_client_error(call, code, message, status)


@pytest.fixture
def aws():
    """The answers to come."""
    return Scripted()


@pytest.fixture
def account(aws):
    """An account that answers as it is told."""
    return Account(session=aws, region=REGION)


@pytest.fixture
def lab(account):
    """A lab that answers as it is told."""
    return Target(profile=ACADEMY, account=account, number=NUMBER)


def stack_is(aws, name, status, **more):
    found = {"StackName": name, "StackStatus": status, "CreationTime": 0, **more}
    aws.answer("cloudformation", "describe_stacks", {"Stacks": [found]}, {"StackName": name})


def no_stack(aws):
    aws.refuse("cloudformation", "describe_stacks", "ValidationError", "Stack with id X does not exist")


def allow(aws, *probes):
    for probe in probes:
        aws.answer(probe.service, probe.call, EMPTY.get(probe.service, {}))


def deny(aws, *probes, message="not authorized"):
    for probe in probes:
        aws.refuse(probe.service, probe.call, "AccessDenied", message, 403)


def test_credentials_that_work_tell_the_account(aws, account):
    aws.answer("sts", "get_caller_identity", CALLER)

    assert account.identity() == NUMBER


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_expired_credentials(aws, account, code):
    aws.refuse("sts", "get_caller_identity", code)

    with pytest.raises(CannotDeploy, match=f"^The AWS credentials have expired: {AGAIN}"):
        account.identity()


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"])
def test_credentials_of_nobody(aws, account, code):
    aws.refuse("sts", "get_caller_identity", code)

    with pytest.raises(CannotDeploy, match=rf"^AWS does not accept the credentials in us-east-1 \({code}\): {AGAIN}"):
        account.identity()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), f"^There are no usable AWS credentials: for a lab, {AGAIN}.*aws configure"),
        (ProfileNotFound(profile="x"), r"\(x\) could not be found: correct or unset AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="x"), "^AWS does not answer in us-east-1: check that there is such a"),
    ],
)
def test_credentials_that_never_leave(monkeypatch, aws, account, error, sentence):
    def get_caller_identity():
        raise error

    monkeypatch.setattr(aws.client("sts"), "get_caller_identity", get_caller_identity)

    with pytest.raises(CannotDeploy, match=sentence):
        account.identity()


def test_all_rights_are_there(aws, account):
    allow(aws, *PROBES)

    check_rights(account)


def test_a_lab_session_that_has_ended_is_no_missing_right(aws, account):
    policy = f"with an explicit deny in an identity-based policy: arn:aws:iam::{NUMBER}:policy/voc-cancel-cred"
    deny(aws, PROBES[0], message=f"User is not authorized to perform: cloudformation:ListStacks {policy}")
    deny(aws, *PROBES[1:])

    with pytest.raises(CannotDeploy, match=f"as when a lab's session has ended: {AGAIN}"):
        check_rights(account)


def test_an_end_that_is_not_named_is_told_by_everything_being_denied(aws, account):
    deny(aws, *PROBES)

    with pytest.raises(CannotDeploy, match=AGAIN):
        check_rights(account)


def test_missing_rights_are_named(aws, account):
    for probe in PROBES:
        (deny if probe.service in {"rds", "sqs"} else allow)(aws, probe)

    with pytest.raises(
        CannotDeploy, match=r"^The credentials work but lack rds:DescribeDBInstances, sqs:ListQueues in"
    ):
        check_rights(account)


def test_settings_that_say_another_region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    monkeypatch.delenv("AWS_REGION", raising=False)

    with pytest.raises(
        CannotDeploy, match=r"^Your AWS settings say sa-east-1, .* region=sa-east-1 or region=us-east-1"
    ):
        open_account("us-east-1", chosen=False)

    assert open_account("us-east-1", chosen=True).region == "us-east-1"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"profile": "acadmy"}, r"^profile must be academy or production, not 'acadmy'\.$"),
        ({"region": "eu-west-1"}, r"^region must be us-east-1 or us-west-2, not 'eu-west-1'\.$"),
        ({"instanceType": "t3.2xlarge"}, "^instanceType must be"),
        ({"alarmMail": "nobody"}, "^alarmMail must be one mail address"),
        ({"certificateArn": "x"}, "^certificateArn must be the ARN"),
        ({"size": "1"}, "^size is not a setting"),
    ],
)
def test_wrong_settings_are_refused_before_anybody_is_asked(settings, sentence):
    with pytest.raises(CannotDeploy, match=sentence):
        profile_of(settings)


def test_an_account_that_lends_nothing_is_no_lab(aws, lab):
    aws.refuse("iam", "get_instance_profile", "NoSuchEntity", status=404)

    with pytest.raises(
        CannotDeploy, match=r"has no LabInstanceProfile, so it is no Learner Lab: .*profile=production"
    ):
        check(lab)


def test_not_being_allowed_to_look_at_the_lent_profile_is_no_obstacle(aws, account):
    aws.refuse("iam", "get_instance_profile", "AccessDenied", status=403)

    preflight.check_borrowed(account, "LabInstanceProfile")


def test_an_account_that_is_not_bootstrapped(aws, lab):
    aws.refuse("s3", "head_bucket", "404", status=404)

    with pytest.raises(CannotDeploy, match=f"^There is no bucket {ASSETS} to upload to: run make bootstrap"):
        preflight.check_bootstrapped(lab)


def test_a_production_account_that_is_not_bootstrapped(aws, account):
    no_stack(aws)

    with pytest.raises(CannotDeploy, match=r"^The account is not prepared for CDK: run make bootstrap"):
        preflight.check_bootstrapped(Target(profile=PRODUCTION, account=account, number=NUMBER))


def cloudfront_is(aws, *, lists=("pl-3b927c52",), zones=("use1-az1", "use1-az2", "use1-az3")):
    asked = {"Filters": [{"Name": "prefix-list-name", "Values": ["com.amazonaws.global.cloudfront.origin-facing"]}]}
    found = [{"PrefixListId": id_} for id_ in lists]
    aws.answer("ec2", "describe_managed_prefix_lists", {"PrefixLists": found}, asked)
    named = [{"ZoneName": f"us-east-1{letter}", "ZoneId": id_} for letter, id_ in zip("abc", zones, strict=True)]
    no_local_zones = {"Filters": [{"Name": "zone-type", "Values": ["availability-zone"]}]}
    aws.answer("ec2", "describe_availability_zones", {"AvailabilityZones": named[::-1]}, no_local_zones)


def test_cloudfront_reaches_into_the_zones_that_the_network_takes(aws, account):
    cloudfront_is(aws)

    preflight.check_cloudfront(account)


def test_a_zone_that_cloudfront_does_not_reach(aws, account):
    cloudfront_is(aws, zones=("use1-az1", "use1-az3", "use1-az2"))

    sentence = "^CloudFront does not reach into us-east-1b, which is use1-az3 in this account, .*region=us-east-2.$"
    with pytest.raises(CannotDeploy, match=sentence):
        preflight.check_cloudfront(account)


@pytest.mark.parametrize(("lists", "found"), [((), "unknown"), (("pl-0123abcd",), "pl-0123abcd")])
def test_cloudfront_comes_from_other_addresses_than_ours(aws, account, lists, found):
    cloudfront_is(aws, lists=lists)

    with pytest.raises(CannotDeploy, match=f"origin-facing is {found} in us-east-1, and pl-3b927c52 in stacks/"):
        preflight.check_cloudfront(account)


def test_a_bucket_name_that_somebody_else_has(aws, lab):
    aws.refuse("s3", "head_bucket", "403", status=403)

    with pytest.raises(
        CannotDeploy, match=f"^The bucket name {ASSETS} is taken by another account: .*assetBucket=NAME"
    ):
        bootstrap(lab)


def test_a_bucket_in_another_region(aws, lab):
    aws.answer("s3", "head_bucket", {"BucketRegion": "us-west-2"}, OWNER)

    with pytest.raises(CannotDeploy, match=f"^The bucket {ASSETS} is in us-west-2: choose another"):
        preflight.check_bootstrapped(lab)


def test_a_bucket_for_videos_that_is_not_there(aws, account):
    aws.refuse("s3", "head_bucket", "404", status=404)
    profile = profile_of({"mediaBucket": "my-videos"})

    with pytest.raises(CannotDeploy, match=r"^There is no bucket my-videos: create it, or leave mediaBucket out"):
        preflight.check_media_bucket(Target(profile=profile, account=account, number=NUMBER))


def test_bootstrapping_uses_a_bucket_that_is_there(aws, lab):
    aws.answer("s3", "head_bucket", {}, OWNER)
    no_stack(aws)

    assert bootstrap(lab) == f"The bucket {ASSETS} is there already and is used as it is."


def test_bootstrapping_makes_the_bucket(aws, lab):
    aws.refuse("s3", "head_bucket", "404", status=404)
    no_stack(aws)
    parameters = [{"ParameterKey": "BucketName", "ParameterValue": ASSETS}]
    asked = {"StackName": "AnbBootstrap", "TemplateBody": ANY, "Parameters": parameters}
    aws.answer("cloudformation", "create_stack", {"StackId": "x"}, asked)
    stack_is(aws, "AnbBootstrap", "CREATE_COMPLETE")

    assert bootstrap(lab) == f"The bucket {ASSETS} is there: private, encrypted, over TLS alone."


@pytest.mark.parametrize(
    ("status", "reason", "sentence"),
    [
        (
            "DELETE_FAILED",
            "Bucket not empty.",
            r"^AnbWeb is half deleted \(Bucket not empty\): run make destroy again",
        ),
        (
            "UPDATE_ROLLBACK_FAILED",
            "",
            "^AnbWeb is stuck between two versions: run aws cloudformation continue-update",
        ),
        ("UPDATE_IN_PROGRESS", "", r"^AnbWeb is being changed right now \(UPDATE_IN_PROGRESS\): wait for it"),
        ("DELETE_IN_PROGRESS", "", "^AnbWeb is being changed right now"),
    ],
)
def test_a_stack_that_no_deployment_can_mend(aws, account, status, reason, sentence):
    stack_is(aws, "AnbWeb", status, StackStatusReason=reason)

    with pytest.raises(CannotDeploy, match=sentence):
        cloudformation.check_deployable(cloudformation.existing(account, ["AnbWeb"]))


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_a_stack_that_was_never_made_is_made_anew(aws, account, status):
    stack_is(aws, "AnbWeb", status)

    notes = cloudformation.check_deployable(cloudformation.existing(account, ["AnbWeb"]))

    assert notes[0].startswith(f"AnbWeb could not be made last time ({status}): ")


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_other_stacks_are_no_obstacle(aws, account, status):
    stack_is(aws, "AnbWeb", status)

    assert cloudformation.check_deployable(cloudformation.existing(account, ["AnbWeb"])) == []


def test_protected_stacks_are_not_destroyed(aws, account):
    stack_is(aws, "AnbData", "CREATE_COMPLETE", EnableTerminationProtection=True)

    with pytest.raises(CannotDeploy, match=r"^AnbData hold data and are protected"):
        cloudformation.check_deletable(cloudformation.existing(account, ["AnbData"]))


def program(folder, name, output):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {output}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_node_is_missing(tmp_path):
    with pytest.raises(CannotDeploy, match=r"^Node\.js is missing: install Node\.js 20 or newer"):
        cdk.check_tools(str(tmp_path))


def test_node_is_too_old(tmp_path):
    program(tmp_path, "node", "v16.20.2")

    with pytest.raises(CannotDeploy, match=r"^Node\.js is v16\.20\.2: install Node\.js 20 or newer"):
        cdk.check_tools(str(tmp_path))


def test_the_command_line_is_missing(tmp_path):
    program(tmp_path, "node", "v22.0.0")

    with pytest.raises(CannotDeploy, match=r"^The CDK command line is not installed: run npm ci"):
        cdk.check_tools(str(tmp_path), tmp_path / "cdk")


def test_the_preflight_warns_of_a_version_that_ends_before_it_asks_anybody(monkeypatch, capsys):
    row = versions.Version(
        what="support of it",
        name="mysql 8.4",
        ends=date(2020, 1, 31),
        verified=True,
        source="https://x",
        then="Raise it",
    )
    monkeypatch.setattr(versions, "table", lambda: [row])
    monkeypatch.setattr(cdk, "check_tools", lambda: 24)
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert main(["preflight"]) == 3
    assert capsys.readouterr().out == "Support of it, mysql 8.4, ended on 2020-01-31. Raise it. See https://x.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["prefligth"], 2, "Did you mean 'preflight'?"),
        (["up", "production"], 2, "'production' is not KEY=VALUE."),
        (["down", "--yes", "profile=moon"], 2, "deploy: "),
        (["down"], 2, "There is no terminal to ask on: say --yes to destroy all the same"),
        (["bootstrap"], 3, "correct or unset AWS_PROFILE."),
    ],
)
def test_the_exit_code_tells_wrong_use_from_what_is_missing(monkeypatch, capsys, arguments, code, sentence):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert main(arguments) == code
    assert sentence in capsys.readouterr().err.splitlines()[-1]
