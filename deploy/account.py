"""Whose account it is, and what its credentials are still good for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as Unreachable

from anb.aws import REGIONAL_S3
from deploy.errors import Missing, WrongSettings

CLIENT_CONFIG = REGIONAL_S3.merge(Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3}))
RESTART_LAB = "start the lab again and copy its credentials (AWS Details, AWS CLI: all lines) to ~/.aws/credentials"

# What a Learner Lab attaches when its session ends: STS still answers, everything else is denied
ENDED_SESSION_POLICY = "voc-cancel-cred"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}


class Probe(NamedTuple):
    """A call that reads and changes nothing."""

    service: str
    call: str
    right: str


# One for each service that the stacks are made of
PROBES = (
    Probe("cloudformation", "list_stacks", "cloudformation:ListStacks"),
    Probe("ec2", "describe_availability_zones", "ec2:DescribeAvailabilityZones"),
    Probe("s3", "list_buckets", "s3:ListAllMyBuckets"),
    Probe("autoscaling", "describe_auto_scaling_groups", "autoscaling:DescribeAutoScalingGroups"),
    Probe("elbv2", "describe_load_balancers", "elasticloadbalancing:DescribeLoadBalancers"),
    Probe("rds", "describe_db_instances", "rds:DescribeDBInstances"),
    Probe("sqs", "list_queues", "sqs:ListQueues"),
    Probe("sns", "list_topics", "sns:ListTopics"),
    Probe("secretsmanager", "list_secrets", "secretsmanager:ListSecrets"),
    Probe("ssm", "describe_parameters", "ssm:DescribeParameters"),
    Probe("logs", "describe_log_groups", "logs:DescribeLogGroups"),
    Probe("cloudwatch", "describe_alarms", "cloudwatch:DescribeAlarms"),
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """A region of an account, and the clients of its services."""

    session: Any
    """boto3's; Any, as the types of few services are installed."""
    region: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return the client of a service, made when it is first asked for."""
        if service not in self._clients:
            with _credential_errors_explained(self.region):
                self._clients[service] = self.session.client(service, region_name=self.region, config=CLIENT_CONFIG)
        return self._clients[service]

    def identity(self) -> str:
        """Return the account's number; raise Missing where the credentials belong to nobody (any more)."""
        with _credential_errors_explained(self.region):
            number: str = self.client("sts").get_caller_identity()["Account"]
        return number


def open_account(region: str, *, chosen: bool) -> Account:
    """Return the account that the environment's credentials are for.

    `chosen` says that somebody asked for this region, rather than for none.
    """
    with _credential_errors_explained(region):
        session = boto3.session.Session()
    usual = session.region_name
    if usual and usual != region and not chosen:
        raise WrongSettings(
            f"Your AWS settings say {usual}, the stacks go to {region} by default: "
            f"say which with region={usual} or region={region}."
        )
    return Account(session=session, region=region)


def check_rights(account: Account) -> None:
    """Raise Missing for a lab session that has ended, or with the rights that are missing."""
    denials = {probe.right: refusal for probe in PROBES if (refusal := _refusal(account, probe))}
    if any(ENDED_SESSION_POLICY in refusal for refusal in denials.values()) or len(denials) == len(PROBES):
        raise Missing(
            f"The credentials are known but may do nothing in {account.region}, as when a lab's session has ended: "
            f"{RESTART_LAB}."
        )
    if denials:
        raise Missing(
            f"The credentials work but lack {', '.join(denials)} in {account.region}: "
            "ask the account's administrator for them, or use an account that has them."
        )


def _refusal(account: Account, probe: Probe) -> str | None:
    try:
        with _credential_errors_explained(account.region):
            getattr(account.client(probe.service), probe.call)()
    except ClientError as error:
        if not is_denied(error):
            raise
        return error.response["Error"].get("Message", "") or "denied"
    return None


def is_denied(error: ClientError) -> bool:
    """Whether AWS knows who asks, and says no."""
    return error.response["Error"]["Code"] in _DENIED


@contextmanager
def _credential_errors_explained(region: str) -> Iterator[None]:
    """Say what is wrong with credentials; leave other refusals as they are."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError):
        raise Missing(
            f"There are no usable AWS credentials: for a lab, {RESTART_LAB}; for another account run aws configure."
        ) from None
    except ProfileNotFound as error:
        raise Missing(f"{error}: correct or unset AWS_PROFILE.") from None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _EXPIRED:
            raise Missing(f"The AWS credentials have expired: {RESTART_LAB}.") from None
        if code in _UNKNOWN:
            raise Missing(
                f"AWS does not accept the credentials in {region} ({code}): {RESTART_LAB}; "
                "elsewhere, check the keys and that the account has enabled the region."
            ) from None
        raise
    except Unreachable:
        raise Missing(
            f"AWS does not answer in {region}: check that there is such a region, and the network."
        ) from None
    except BotoCoreError as error:
        raise Missing(f"The AWS settings cannot be used: {error}") from None
