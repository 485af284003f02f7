"""What the design promises in both profiles, so that a careless change fails the synthesis and not the service."""

import json
from collections.abc import Iterator
from typing import Any

from stacks.constructs.fleet import LONGEST_START
from stacks.constructs.job_queue import LEASE, MAX_RECEIVES, MAX_RETENTION
from stacks.constructs.user_data import MAX_BYTES
from stacks.rules.assembly import Assembly, Resource, Rule
from stacks.web import HEALTH_PATH

GROUP, TEMPLATE, QUEUE = "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate", "AWS::SQS::Queue"
BALANCER, TARGETS = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::TargetGroup"
POLICY, ALARM = "AWS::AutoScaling::ScalingPolicy", "AWS::CloudWatch::Alarm"
DATABASE, SUBNETS, BUCKET = "AWS::RDS::DBInstance", "AWS::RDS::DBSubnetGroup", "AWS::S3::Bucket"
ZONES = 2
SSH = 22
WEB_PORTS = (80, 443)
ANYWHERE = ("0.0.0.0/0", "::/0")
VISIBLE, IN_FLIGHT = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"
# A log group's name has up to 512 characters, an ARN as many; the rest is shorter
MAX_NAME_BYTES = 512

Found = Iterator[tuple[Resource | str, str]]


def dead_letters(assembly: Assembly) -> Found:
    """Every queue is a dead-letter queue, or has one that keeps messages longer than itself."""
    queues = list(assembly.resources(QUEUE))
    if not queues:
        yield from ((stack, "there is no queue") for stack in list(assembly.templates)[:1])
    targets = [_dead_letters_of(assembly, queue) for queue in queues]
    for queue, target in zip(queues, targets, strict=True):
        if queue in targets:
            if queue.properties.get("MessageRetentionPeriod") != MAX_RETENTION.to_seconds():
                yield queue, "dead letters are kept for 14 days"
        elif target is None:
            yield queue, "a message that nobody can work on needs a dead-letter queue to go to"
        elif queue.properties["RedrivePolicy"]["maxReceiveCount"] != MAX_RECEIVES:
            yield (
                queue,
                f"a message is received {MAX_RECEIVES} times before it is dead, more often than a video is tried",
            )


def visibility(assembly: Assembly) -> Found:
    for queue in assembly.resources(QUEUE):
        seconds = queue.properties.get("VisibilityTimeout", 30)  # SQS's default
        if "RedrivePolicy" in queue.properties and seconds < LEASE.to_seconds():
            yield (
                queue,
                f"a message stays hidden as long as its video is leased, {LEASE.to_seconds()} s, not {seconds}",
            )


def zones(assembly: Assembly) -> Found:
    places = {GROUP: "VPCZoneIdentifier", BALANCER: "Subnets", SUBNETS: "SubnetIds"}
    for resource in assembly.resources(*places):
        found = assembly.zones(resource.stack, list(resource.properties.get(places[resource.type], [])))
        if len(found) < ZONES:
            yield resource, f"it stands in {ZONES} availability zones, not in {len(found)}"


def doors(assembly: Assembly) -> Found:
    """The internet reaches ports 80 and 443; nobody reaches SSH."""
    for resource in assembly.resources("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"):
        for rule in resource.properties.get("SecurityGroupIngress", [resource.properties]):
            if "IpProtocol" not in rule:
                continue
            first, last = _ports(rule)
            if first <= SSH <= last:
                yield resource, "port 22 stays shut: Session Manager opens a shell without it"
            elif {rule.get("CidrIp"), rule.get("CidrIpv6")} & set(ANYWHERE) and not (first == last in WEB_PORTS):
                yield resource, "the internet reaches ports 80 and 443 alone"


def encryption(assembly: Assembly) -> Found:
    for template in assembly.resources(TEMPLATE):
        mappings = template.properties["LaunchTemplateData"].get("BlockDeviceMappings", [])
        if not mappings or not all(mapping.get("Ebs", {}).get("Encrypted") for mapping in mappings):
            yield template, "every volume is encrypted"
    for database in assembly.resources(DATABASE):
        if not (database.properties.get("StorageEncrypted") or "DBSnapshotIdentifier" in database.properties):
            yield database, "the database is encrypted"
    for queue in assembly.resources(QUEUE):
        if not queue.properties.get("SqsManagedSseEnabled", "KmsMasterKeyId" in queue.properties):
            yield queue, "messages are encrypted"
    for bucket in assembly.resources(BUCKET):
        if "BucketEncryption" not in bucket.properties:
            yield bucket, "objects are encrypted"


def metadata(assembly: Assembly) -> Found:
    for template in assembly.resources(TEMPLATE):
        options = template.properties["LaunchTemplateData"].get("MetadataOptions", {})
        if options.get("HttpTokens") != "required" or options.get("HttpPutResponseHopLimit") != 1:
            yield template, "instance metadata asks for a token (IMDSv2) and answers the instance alone (1 hop)"
        if "KeyName" in template.properties["LaunchTemplateData"]:
            yield template, "no SSH key: Session Manager opens a shell without one"


def user_data(assembly: Assembly) -> Found:
    for template in assembly.resources(TEMPLATE):
        bytes_ = longest_bytes(template.properties["LaunchTemplateData"].get("UserData", ""))
        if bytes_ > MAX_BYTES:
            yield template, f"user data has at most {MAX_BYTES} bytes, not {bytes_}"


def fleet_sizes(assembly: Assembly) -> Found:
    """Every fleet has an instance at rest; workers may be none at all, for a test of the API alone."""
    behind = {targets.stack for targets in assembly.resources(TARGETS)}
    for group in assembly.resources(GROUP):
        least, most = int(group.properties["MinSize"]), int(group.properties["MaxSize"])
        is_none = least == most == 0 and group.stack not in behind
        if not (1 <= least <= most or is_none):
            yield group, f"a fleet has an instance or more, not {least} to {most}"
        if "DesiredCapacity" in group.properties:
            yield group, "a deployment leaves a fleet's size alone: scaling decides it"


def health_checks(assembly: Assembly) -> Found:
    for targets in assembly.resources(TARGETS):
        if targets.properties.get("HealthCheckPath") != HEALTH_PATH:
            yield targets, f"the health check is {HEALTH_PATH}, which asks nothing but the process itself"
    for group in assembly.resources(GROUP):
        seconds = int(group.properties.get("HealthCheckGracePeriod", 0))
        if seconds <= LONGEST_START.to_seconds():
            sentence = f"a slow start takes {LONGEST_START.to_seconds()} s: health counts later than that, not after"
            yield group, f"{sentence} {seconds} s"


def backlog(assembly: Assembly) -> Found:
    """Whatever scales on the queue counts jobs in flight, and a fleet that nobody reaches does, if it can scale."""
    tracked = [(resource, _metric_names(resource)) for resource in assembly.resources(POLICY, ALARM)]
    scaling = [(resource, used) for resource, used in tracked if VISIBLE in used and _scales(assembly, resource)]
    for resource, used in scaling:
        if IN_FLIGHT not in used:
            yield resource, "a received message is still work: what scales on the queue counts jobs in flight too"
    can_scale = {it.stack for it in assembly.resources(GROUP) if it.properties["MinSize"] != it.properties["MaxSize"]}
    reached = {resource.stack for resource in assembly.resources(TARGETS)}
    for stack in can_scale - reached - {resource.stack for resource, _ in scaling}:
        yield stack, "workers scale on the queue: nothing here does"


def instance_signals(assembly: Assembly) -> Found:
    for group in assembly.resources(GROUP):
        if int(group.properties["MaxSize"]) == 0:
            continue  # nobody is there to say so
        rolling = group.definition.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {})
        if not rolling.get("WaitOnResourceSignals") or "ResourceSignal" not in group.definition.get(
            "CreationPolicy", {}
        ):
            yield group, "a deployment waits until an instance says itself that it serves"


def two_zones_at_rest(assembly: Assembly) -> Found:
    """Whoever the internet reaches loses no instance before its successor serves, where there may be one more."""
    behind = {targets.stack for targets in assembly.resources(TARGETS)}
    for group in assembly.resources(GROUP):
        if group.stack not in behind:
            continue
        if group.properties.get("InstanceMaintenancePolicy", {}).get("MinHealthyPercentage") != 100:
            yield group, "an unwell instance ends when its successor serves: the maintenance policy keeps 100 %"
        rolling = group.definition.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {})
        least, most = int(group.properties["MinSize"]), int(group.properties["MaxSize"])
        if int(rolling.get("MinInstancesInService", 0)) < min(least, most - 1):
            yield group, f"an update keeps {min(least, most - 1)} instances in service"


def database_alone(assembly: Assembly) -> Found:
    """Nobody imports from the stack with the database, so that it can be destroyed and created again alone."""
    for stack in {database.stack for database in assembly.resources(DATABASE)}:
        if any("Export" in output for output in assembly.templates[stack].get("Outputs", {}).values()):
            yield stack, "nothing imports from the database's stack: fleets find it by its parameter"
    for database in assembly.resources(DATABASE):
        if database.properties.get("PubliclyAccessible") is not False:
            yield database, "the internet does not reach the database"


def _dead_letters_of(assembly: Assembly, queue: Resource) -> Resource | None:
    policy = queue.properties.get("RedrivePolicy", {})
    return assembly.follow(queue.stack, policy.get("deadLetterTargetArn"))


def _ports(rule: Any) -> tuple[int, int]:
    if str(rule["IpProtocol"]) == "-1":
        return 0, 65535
    return int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))


def _metric_names(resource: Resource) -> set[str]:
    """Return which of the queue's two counts a policy or an alarm looks at."""
    text = json.dumps(resource.properties)
    return {name for name in (VISIBLE, IN_FLIGHT) if f'"{name}"' in text}


def _scales(assembly: Assembly, resource: Resource) -> bool:
    if resource.type == POLICY:
        return True
    followed = (assembly.follow(resource.stack, action) for action in resource.properties.get("AlarmActions", []))
    return any(target is not None and target.type == POLICY for target in followed)


def longest_bytes(value: Any) -> int:
    """Return how many bytes a text has at most, when all that deployment fills in is as long as it can be."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        if "Fn::Base64" in value:
            return longest_bytes(value["Fn::Base64"])
        if "Fn::Join" in value:
            glue, parts = value["Fn::Join"]
            return sum(longest_bytes(part) for part in parts) + len(glue) * (len(parts) - 1)
        if "Fn::Sub" in value:
            return len(value["Fn::Sub"]) + MAX_NAME_BYTES
    return MAX_NAME_BYTES


PROMISES = (
    Rule("DeadLetters", dead_letters),
    Rule("Visibility", visibility),
    Rule("Zones", zones),
    Rule("Doors", doors),
    Rule("Encryption", encryption),
    Rule("Metadata", metadata),
    Rule("UserData", user_data),
    Rule("FleetSizes", fleet_sizes),
    Rule("HealthChecks", health_checks),
    Rule("Backlog", backlog),
    Rule("InstanceSignals", instance_signals),
    Rule("TwoZonesAtRest", two_zones_at_rest),
    Rule("DatabaseAlone", database_alone),
)
