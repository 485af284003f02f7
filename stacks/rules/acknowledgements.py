"""What validation finds and we keep, each on one construct and with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass

import aws_cdk as cdk

from stacks.media import INCOMING, PICTURES, RESULTS, SOURCES
from stacks.names import Names
from stacks.profiles import Profile

_POLICY = "Fleet/Role/DefaultPolicy/Resource"
# How the web and worker stacks know the videos bucket of the media stack
_VIDEOS = "ExportsOutputFnGetAttVideos88AE8DA0ArnA1427BE4"


@dataclass(frozen=True)
class Acknowledged:
    """A finding on a construct, and why it stands; of AwsSolutions where the rule does not name another's."""

    path: str
    rule: str
    reason: str

    @property
    def id(self) -> str:
        """What CDK calls it."""
        return self.rule if "::" in self.rule.partition("[")[0] else f"AwsSolutions::AwsSolutions-{self.rule}"


def acknowledge(app: cdk.App, profile: Profile) -> None:
    """Let the findings that we keep pass."""
    for kept in acknowledgements(profile):
        construct = app.node
        for id_ in kept.path.split("/"):
            construct = construct.find_child(id_).node
        acknowledgment = cdk.Acknowledgment(id=kept.id, reason=kept.reason)
        cdk.Validations.of(construct.scopes[-1]).acknowledge(acknowledgment)


def acknowledgements(profile: Profile) -> list[Acknowledged]:
    """Return the findings that we keep in this profile."""
    return [
        *_everywhere(profile.names),
        *([] if profile.database.multi_az else [_single_zone(profile.names)]),
        *([] if profile.keeps_data else [_unprotected(profile.names)]),
        *([_copied(profile.names)] if profile.database_snapshot else []),
        *([] if profile.flow_logs else [_unrecorded(profile.names)]),
        *(_distributed(profile) if profile.cloudfront else [_public(profile.names)]),
        *(_generator(profile) if profile.load else []),
        *(_own_roles(profile) if profile.borrowed_role is None else []),
    ]


def _everywhere(names: Names) -> Iterator[Acknowledged]:
    yield Acknowledged(
        f"{names.network}/Logs/Resource",
        "S1",
        "It holds access logs. Logging who reads logs into the same bucket would grow without end.",
    )
    yield Acknowledged(
        f"{names.data}/Secret/Resource",
        "SMG4",
        "Rotation needs a function with a role, which a lab cannot create. The password is random, of use to two "
        "security groups alone, and replaced whenever the stack is created again.",
    )
    yield Acknowledged(
        f"{names.web}/TokenSecret/Resource",
        "SMG4",
        "Rotation needs a function with a role, which a lab cannot create: a person replaces it, docs/operations.md.",
    )
    yield Acknowledged(
        f"{names.web}/AddressKey/Resource",
        "SMG4",
        "A new key would make strangers of the addresses that the limits know; what it hashes is gone after 90 days.",
    )
    yield Acknowledged(
        f"{names.data}/Database/Resource",
        "CloudFormation-Validate::E9006",
        "It knows MySQL's versions with their last number alone. RDS takes '8.4' as any of them: stacks/data.py.",
    )
    yield Acknowledged(
        f"{names.data}/Database/Resource",
        "RDS11",
        "Another port hides nothing: the database has no public address and admits two security groups alone.",
    )
    for stack in (names.web, names.worker):
        yield Acknowledged(
            f"{stack}/Fleet/Group/ASG",
            "AS3",
            "Scaling is this group's daily work and shows on the dashboard. A launch that fails raises the alarm "
            "'Missing ...', and a mail for each instance that starts would bury it.",
        )


def _single_zone(names: Names) -> Acknowledged:
    return Acknowledged(
        f"{names.data}/Database/Resource",
        "RDS3",
        "A lab's budget is about 50 dollars, and a standby would double its dearest part. Production has one.",
    )


def _unprotected(names: Names) -> Acknowledged:
    return Acknowledged(
        f"{names.data}/Database/Resource",
        "RDS10",
        "The course asks to delete the database after each session. Production protects it.",
    )


def _copied(names: Names) -> Acknowledged:
    return Acknowledged(
        f"{names.data}/Database/Resource",
        "RDS2",
        "A database made from a snapshot is as encrypted as that snapshot, and ours all are.",
    )


def _unrecorded(names: Names) -> Acknowledged:
    return Acknowledged(
        f"{names.network}/Vpc/Resource",
        "VPC7",
        "flowLogs=false is for accounts that refuse flow logs; the balancer's and the bucket's access logs stay.",
    )


def _public(names: Names) -> Acknowledged:
    return Acknowledged(
        f"{names.network}/BalancerGroup/Resource",
        "EC23",
        "The load balancer serves the public: anybody may reach its ports 80 and 443, and nothing else here.",
    )


def _distributed(profile: Profile) -> Iterator[Acknowledged]:
    distribution = f"{profile.names.web}/Site/Distribution/Resource"
    yield Acknowledged(distribution, "CFR1", "Anybody in the world may watch and vote.")
    yield Acknowledged(
        distribution,
        "CFR3",
        "The balancer and nginx log each request that reaches the site, the latter with its viewer; what caches "
        "answer is public. CloudFront's own log needs a bucket with access lists, which ours have not.",
    )
    if not profile.certificate_arn:
        yield Acknowledged(
            distribution,
            "CFR4",
            "CloudFront's own certificate comes with the versions of TLS that it has. A domain of one's own "
            "(certificateArn, domainName) has 1.2 and later.",
        )
    if not profile.firewall:
        yield Acknowledged(
            distribution,
            "CFR2",
            "An access list costs by the month and by request: firewall=true adds it. nginx and the API limit each "
            "address by themselves.",
        )


def _generator(profile: Profile) -> Iterator[Acknowledged]:
    stack = profile.names.load
    yield Acknowledged(
        f"{stack}/Generator",
        "EC29",
        "It keeps nothing and serves nobody: whoever ends it misses a load test.",
    )
    if profile.borrowed_role is None:
        yield _session_manager(f"{stack}/Role/Resource")


def _session_manager(role: str) -> Acknowledged:
    return Acknowledged(
        role,
        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore]",
        "What Session Manager's agent calls, kept current by AWS. It replaces SSH and its keys.",
    )


def _own_roles(profile: Profile) -> Iterator[Acknowledged]:
    names = profile.names
    for stack in (names.web, names.worker):
        yield _session_manager(f"{stack}/Fleet/Role/Resource")
        yield Acknowledged(
            f"{stack}/{_POLICY}",
            f"IAM5[Resource::arn:aws:secretsmanager:{profile.region}:<AWS::AccountId>:secret:{names.database_secret}-*]",
            "One secret: AWS ends its name with random characters, and naming it would tie the fleets to the "
            "database's stack.",
        )
        yield Acknowledged(
            f"{stack}/{_POLICY}",
            "IAM5[Resource::*]",
            "cloudwatch:PutMetricData knows no resources; a condition limits it to our namespace.",
        )
        videos = f"arn:aws:s3:::{profile.media_bucket}" if profile.media_bucket else f"{names.media}:{_VIDEOS}"
        for keys in (*([INCOMING] if stack == names.web else []), SOURCES, RESULTS, PICTURES):
            yield Acknowledged(
                f"{stack}/{_POLICY}",
                f"IAM5[Resource::{videos}/{keys}]",
                "Keys are made while the system runs: each action is limited to the prefixes that its service uses.",
            )
    group = f"autoScalingGroup:*:autoScalingGroupName/{names.worker_group}"
    yield Acknowledged(
        f"{names.worker}/{_POLICY}",
        f"IAM5[Resource::arn:aws:autoscaling:{profile.region}:<AWS::AccountId>:{group}]",
        "One group: its ARN holds an id that AWS chooses, before the name that is ours.",
    )
