"""The policies of a synthesis as an account would have them, and what they allow.

The answers are those of iam-simulate, which also refuses an action that does not exist, or that its resource does not
know. It runs as a program of its own.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import cdk
from stacks.rules.assembly import Assembly, Resource
from tests import aws_calls

SIMULATE = Path(__file__).with_name("simulate.mjs")
ACCOUNT = "123456789012"
DISTRIBUTION = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1A2B3C4D5E6F7"
STRANGER = "somebody-elses"

Statement = Mapping[str, Any]

_ID = "0a1b2c3d-0000-4111-8222-333344445555"
# What has no name of its own is named by CloudFormation, after its stack and its logical id
_NAMED_BY = {"AWS::SQS::Queue": "QueueName", "AWS::S3::Bucket": "BucketName"}
_ARNS = {
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:{region}:{account}:secret:{id}-1x2Y3z4W5v6U-a1B2c3",
}
# The rights that an operation needs where they are not called like it. That there is no object (404, not 403) is told
# to those alone who may list: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_RIGHTS = {
    "s3:GetObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}


@dataclass(frozen=True)
class Request:
    """An action on a resource; as we send them, over TLS."""

    action: str
    resource: str
    is_secure: bool = True
    tls_version: str = "1.2"
    namespace: str = "ANB"
    distribution: str | None = None
    """For which CloudFront asks, instead of an instance."""

    @property
    def principal(self) -> str:
        """Who asks."""
        role = f"arn:aws:sts::{ACCOUNT}:assumed-role/AnbWeb-FleetRole/i-0123456789abcdef0"
        return "cloudfront.amazonaws.com" if self.distribution else role

    @property
    def context(self) -> dict[str, str]:
        """What conditions ask."""
        return {
            **({"aws:SourceArn": self.distribution} if self.distribution else {}),
            "aws:SecureTransport": str(self.is_secure).lower(),
            "s3:TlsVersion": self.tls_version,
            "cloudwatch:namespace": self.namespace,
        }

    @property
    def owner(self) -> str:
        """The bucket or queue that may have a policy of its own."""
        return self.resource.partition("/")[0]


@dataclass(frozen=True)
class Account:
    """What a synthesis has become in an account, with the names that things have there."""

    assembly: Assembly

    def rights(self, fleet: str) -> list[Statement]:
        """Return the statements of the role of a fleet's stack; AWS's own policies are not looked at."""
        policies = [found for found in self.assembly.resources("AWS::IAM::Policy") if found.stack == fleet]
        return [statement for policy in policies for statement in self._statements(policy)]

    def resource_policies(self) -> dict[str, list[Statement]]:
        """Return the policies that buckets and queues have themselves, by ARN."""
        found = {}
        for policy in self.assembly.resources("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
            owners = policy.properties.get("Queues") or [policy.properties["Bucket"]]
            for owner in owners:
                of = self.assembly.follow(policy.stack, owner)
                assert of is not None
                found[self.arn(of)] = self._statements(policy)
        return found

    def requests(self, caller: str) -> set[Request]:
        """Return what the caller's calls, which tests have written down, ask of AWS."""
        calls = (call for call in aws_calls.read() if call.caller == caller and not self._is_served(call))
        return {request for call in calls for request in self._asked(call)}

    def served(self) -> set[Request]:
        """Return what CloudFront asks of the bucket, and the API signs a link for where there is no CloudFront."""
        targets = {call.target for call in aws_calls.read() if self._is_served(call)}
        return {Request("s3:GetObject", self._videos(target), distribution=DISTRIBUTION) for target in targets}

    def boot_requests(self, fleet: str) -> set[Request]:
        """Return what user data, log agent and the look-up of secrets ask of AWS on a fleet's instances."""
        found = self.assembly.only(fleet, "AWS::EC2::LaunchTemplate").properties["LaunchTemplateData"]["UserData"]
        script = self.value(fleet, found)
        asked = {("s3:GetObject", f"arn:aws:s3:::{path}") for path in re.findall(r"s3://([^\s']+)", script)}
        (parameter,) = re.findall(r"ANB_DATABASE_PARAMETER='/([^']+)'", script)
        asked.add(("ssm:GetParameter", self._arn_of("ssm", f"parameter/{parameter}")))
        secrets = [self._database_secret(), *re.findall(r"ANB_\w+_SECRET_ID='([^']+)'", script)]
        asked |= {("secretsmanager:GetSecretValue", secret) for secret in secrets}
        (stack,) = re.findall(r"cfn-signal --region \S+ --stack '([^']+)'", script)
        asked.add(("cloudformation:SignalResource", self.value(stack, {"Ref": "AWS::StackId"})))
        (group,) = re.findall(r"ANB_LOG_GROUP='([^']+)'", script)
        stream = self._arn_of("logs", f"log-group:{group}:log-stream:i-0123456789abcdef0/boot")
        asked |= {("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream), ("cloudwatch:PutMetricData", "*")}
        (namespace,) = re.findall(r"ANB_METRICS_NAMESPACE=(\w+)", script)
        return {Request(action, resource, namespace=namespace) for action, resource in asked}

    def arn(self, resource: Resource) -> str:
        """Return a resource's ARN."""
        return _ARNS[resource.type].format(
            name=self._name(resource), id=resource.logical_id, region=self.assembly.region, account=ACCOUNT
        )

    def value(self, stack: str, given: Any) -> Any:  # noqa: PLR0911 one for each function of CloudFormation
        """Return what a value of a stack's template has become."""
        match given:
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.value(stack, part) for part in parts)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([\w:]+)\}", lambda found: self._referred(stack, found[1]), text)
            case {"Fn::Base64": inner}:
                return self.value(stack, inner)
            case {"Fn::ImportValue": name}:
                return self._imported(name)
            case {"Fn::GetAtt": [logical_id, attribute]}:
                return (
                    self.arn(self._resource(stack, logical_id)) if attribute == "Arn" else f"{logical_id}.{attribute}"
                )
            case {"Ref": name}:
                return self._referred(stack, name)
            case Mapping():
                return {key: self.value(stack, value) for key, value in given.items()}
            case list():
                return [self.value(stack, value) for value in given]
        return given

    def _is_served(self, call: aws_calls.AwsCall) -> bool:
        distributions = self.assembly.resources("AWS::CloudFront::Distribution")
        if not any("S3OriginConfig" in str(distribution.properties) for distribution in distributions):
            return False
        reads_for_others = (call.caller, call.operation) == ("web", "s3:GetObject")
        return reads_for_others and call.target.startswith(("processed/", "thumbnails/"))

    def _statements(self, policy: Resource) -> list[Statement]:
        statements: list[Statement] = self.value(policy.stack, policy.properties["PolicyDocument"]["Statement"])
        return statements

    def _asked(self, call: aws_calls.AwsCall) -> Iterator[Request]:
        if call.operation == "s3:CopyObject":
            source, _, target = call.target.partition(" > ")
            yield from (Request("s3:GetObject", self._videos(source)), Request("s3:PutObject", self._videos(target)))
            return
        for action in _RIGHTS.get(call.operation, (call.operation,)):
            service = action.partition(":")[0]
            if service == "s3":
                yield Request(action, self._videos("" if action == "s3:ListBucket" else call.target))
            elif service == "sqs":
                yield Request(action, self._queue(is_dead=call.target == aws_calls.DEAD_LETTERS))
            else:
                group = f"autoScalingGroup:{_ID}:autoScalingGroupName/{call.target}"
                yield Request(action, self._arn_of("autoscaling", group))

    def _videos(self, masked_key: str) -> str:
        bucket = self.arn(self.assembly.only("AnbMedia", "AWS::S3::Bucket"))
        key = masked_key.replace("ID", _ID).replace("/N.", "/1.")
        return f"{bucket}/{key}" if key else bucket

    def _queue(self, *, is_dead: bool) -> str:
        queues = self.assembly.resources("AWS::SQS::Queue")
        (found,) = (queue for queue in queues if ("RedrivePolicy" not in queue.properties) == is_dead)
        return self.arn(found)

    def _database_secret(self) -> str:
        return self.arn(self.assembly.only("AnbData", "AWS::SecretsManager::Secret"))

    def _arn_of(self, service: str, what: str) -> str:
        return f"arn:aws:{service}:{self.assembly.region}:{ACCOUNT}:{what}"

    def _imported(self, name: str) -> Any:
        for stack, template in self.assembly.templates.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self.value(stack, output["Value"])
        raise LookupError(name)

    def _referred(self, stack: str, name: str) -> str:
        known = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": self.assembly.region,
            "AWS::Partition": "aws",
            "AWS::StackId": self._arn_of("cloudformation", f"stack/{stack}/{_ID}"),
        }
        if name in known:
            return known[name]
        resource = self._resource(stack, name)
        return self.arn(resource) if resource.type == "AWS::SecretsManager::Secret" else self._name(resource)

    def _resource(self, stack: str, logical_id: str) -> Resource:
        return Resource(stack, logical_id, self.assembly.templates[stack]["Resources"][logical_id])

    def _name(self, resource: Resource) -> str:
        given = resource.properties.get(_NAMED_BY.get(resource.type, ""))
        return str(given or f"{resource.stack}-{resource.logical_id}-1x2y3z4w".lower())


def allowed(
    cases: Sequence[tuple[Request, Sequence[Statement]]], resource_policies: Mapping[str, Sequence[Statement]]
) -> list[bool]:
    """Return of each request whether an identity with these statements is allowed to make it."""
    simulations = [_simulation(request, rights, resource_policies) for request, rights in cases]
    node = shutil.which("node", path=cdk.PATH)
    assert node, "Node.js is missing: run make setup"
    done = subprocess.run([node, SIMULATE], input=json.dumps(simulations), capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout)
    for (request, _), answer in zip(cases, answers, strict=True):
        assert answer in {"Allowed", "ImplicitlyDenied", "ExplicitlyDenied"}, (request, answer)
    return [answer == "Allowed" for answer in answers]


def _simulation(
    request: Request, rights: Sequence[Statement], resource_policies: Mapping[str, Sequence[Statement]]
) -> dict[str, Any]:
    own = resource_policies.get(request.owner)
    return {
        "request": {
            "principal": request.principal,
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": ACCOUNT},
            "contextVariables": request.context,
        },
        "identityPolicies": [{"name": "role", "policy": _policy(rights)}],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": _policy(own)} if own else {}),
    }


def _policy(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def without_one(statements: Sequence[Statement]) -> Iterator[tuple[str, list[Statement]]]:
    """Yield what is left when one action on one resource is taken away, for each of them, and which one it was."""
    for place, statement in enumerate(statements):
        before, after = statements[:place], statements[place + 1 :]
        actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
        for action in actions:
            for resource in resources:
                left = [
                    {**statement, "Action": [other for other in actions if other != action]},
                    {**statement, "Action": action, "Resource": [other for other in resources if other != resource]},
                ]
                kept = [it for it in left if it["Action"] and it["Resource"]]
                yield f"{statement['Effect']} {action} {resource}", [*before, *kept, *after]


def strangers(request: Request) -> Request:
    """Return the same action on a thing of somebody else's, or on a metric of another namespace."""
    elsewhere = re.sub(
        r"(?<=^arn:aws:s3:::)[^/]+|(?<=:log-group:)[^:]+|(?<=[:/])[\w-]+$", STRANGER, request.resource, count=1
    )
    return Request(request.action, elsewhere, namespace=STRANGER)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
