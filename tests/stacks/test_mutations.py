"""Every rule fails for whoever breaks it: the templates are damaged one way at a time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stacks.profiles import ACADEMY, PRODUCTION
from stacks.rules.assembly import Assembly
from stacks.rules.lab import LAB_RULES
from stacks.rules.plugin import check, rules_for
from stacks.rules.promises import PROMISES

BREACHES: list[Any] = []


def breaks(rule: str) -> Callable[[Any], Any]:
    """Note a damage and the rule that must notice it."""

    def note(damage: Any) -> Any:
        BREACHES.append(pytest.param(rule, damage, id=damage.__name__.replace("_", " ")))
        return damage

    return note


def resource(a: Assembly, stack: str, type_: str, place: int = 0) -> Any:
    """Return the definition of a resource, to be damaged."""
    return [found for found in a.resources(type_) if found.stack == stack][place].definition


def properties(a: Assembly, stack: str, type_: str, place: int = 0) -> Any:
    return resource(a, stack, type_, place)["Properties"]


def launch(a: Assembly, stack: str) -> Any:
    return properties(a, stack, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]


def group(a: Assembly, stack: str) -> Any:
    return properties(a, stack, "AWS::AutoScaling::AutoScalingGroup")


def add(a: Assembly, stack: str, type_: str, **made_of: Any) -> None:
    a.templates[stack]["Resources"]["Added"] = {"Type": type_, "Properties": made_of}


def queue(a: Assembly) -> Any:
    return next(q.definition["Properties"] for q in a.resources("AWS::SQS::Queue") if "RedrivePolicy" in q.properties)


@breaks("DeadLetters")
def no_dead_letter_queue(a: Assembly) -> None:
    del queue(a)["RedrivePolicy"]


@breaks("DeadLetters")
def dead_letter_queue_removed_from_the_stack(a: Assembly) -> None:
    target = queue(a)["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    del a.templates["AnbMedia"]["Resources"][target]


@breaks("DeadLetters")
def a_message_is_received_once(a: Assembly) -> None:
    queue(a)["RedrivePolicy"]["maxReceiveCount"] = 1


@breaks("DeadLetters")
def dead_letters_are_kept_for_a_day(a: Assembly) -> None:
    for q in a.resources("AWS::SQS::Queue"):
        q.definition["Properties"]["MessageRetentionPeriod"] = 86400


@breaks("DeadLetters")
def no_queue_at_all(a: Assembly) -> None:
    a.templates["AnbMedia"]["Resources"].clear()


@breaks("Visibility")
def visibility_below_the_lease(a: Assembly) -> None:
    queue(a)["VisibilityTimeout"] = 119


@breaks("Visibility")
def visibility_of_sqs_itself(a: Assembly) -> None:
    del queue(a)["VisibilityTimeout"]


@breaks("Zones")
def web_fleet_in_a_single_zone(a: Assembly) -> None:
    del group(a, "AnbWeb")["VPCZoneIdentifier"][1]


@breaks("Zones")
def subnets_in_the_same_zone(a: Assembly) -> None:
    for subnet in a.resources("AWS::EC2::Subnet"):
        subnet.definition["Properties"]["AvailabilityZone"] = {"Fn::Select": [0, {"Fn::GetAZs": ""}]}


@breaks("Zones")
def load_balancer_in_a_single_zone(a: Assembly) -> None:
    del properties(a, "AnbWeb", "AWS::ElasticLoadBalancingV2::LoadBalancer")["Subnets"][1]


@breaks("Zones")
def database_in_a_single_zone(a: Assembly) -> None:
    del properties(a, "AnbData", "AWS::RDS::DBSubnetGroup")["SubnetIds"][1]


@breaks("Doors")
def ssh_open_to_the_world(a: Assembly) -> None:
    world = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
    properties(a, "AnbNetwork", "AWS::EC2::SecurityGroup")["SecurityGroupIngress"] = [world]


@breaks("Doors")
def ssh_open_to_one_address_and_hidden_in_a_range(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::EC2::SecurityGroupIngress", IpProtocol="tcp", FromPort=20, ToPort=25, CidrIp="1.2.3.4/32")


@breaks("Doors")
def everything_open_between_groups(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::EC2::SecurityGroupIngress", IpProtocol="-1", SourceSecurityGroupId="sg-1")


@breaks("Doors")
def database_open_to_the_world(a: Assembly) -> None:
    add(a, "AnbData", "AWS::EC2::SecurityGroupIngress", IpProtocol="tcp", FromPort=3306, ToPort=3306, CidrIpv6="::/0")


@breaks("Encryption")
def volume_not_encrypted(a: Assembly) -> None:
    launch(a, "AnbWorker")["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] = False


@breaks("Encryption")
def volume_of_the_image(a: Assembly) -> None:
    del launch(a, "AnbWeb")["BlockDeviceMappings"]


@breaks("Encryption")
def database_not_encrypted(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["StorageEncrypted"] = False


@breaks("Encryption")
def messages_not_encrypted(a: Assembly) -> None:
    queue(a)["SqsManagedSseEnabled"] = False


@breaks("Encryption")
def objects_not_encrypted(a: Assembly) -> None:
    del properties(a, "AnbMedia", "AWS::S3::Bucket")["BucketEncryption"]


@breaks("Metadata")
def metadata_without_a_token(a: Assembly) -> None:
    launch(a, "AnbWeb")["MetadataOptions"]["HttpTokens"] = "optional"


@breaks("Metadata")
def metadata_for_containers_too(a: Assembly) -> None:
    launch(a, "AnbWorker")["MetadataOptions"]["HttpPutResponseHopLimit"] = 2


@breaks("Metadata")
def an_ssh_key(a: Assembly) -> None:
    launch(a, "AnbWorker")["KeyName"] = "vockey"


@breaks("UserData")
def user_data_beyond_the_limit(a: Assembly) -> None:
    launch(a, "AnbWeb")["UserData"] = {"Fn::Base64": {"Fn::Join": ["", ["#" * 16000, {"Ref": "A"}]]}}


@breaks("LabFleetSizes")
def four_workers(a: Assembly) -> None:
    group(a, "AnbWorker")["MaxSize"] = "4"


@breaks("FleetSizes")
def no_worker_left(a: Assembly) -> None:
    group(a, "AnbWorker")["MinSize"] = "0"


@breaks("FleetSizes")
def nobody_answers(a: Assembly) -> None:
    group(a, "AnbWeb").update(MinSize="0", MaxSize="0")


@breaks("FleetSizes")
def a_deployment_resets_the_size(a: Assembly) -> None:
    group(a, "AnbWeb")["DesiredCapacity"] = "1"


@breaks("HealthChecks")
def deep_health_check(a: Assembly) -> None:
    properties(a, "AnbWeb", "AWS::ElasticLoadBalancingV2::TargetGroup")["HealthCheckPath"] = "/readyz"


@breaks("HealthChecks")
def no_grace_for_new_instances(a: Assembly) -> None:
    del group(a, "AnbWeb")["HealthCheckGracePeriod"]


@breaks("HealthChecks")
def a_grace_that_a_slow_boot_outlasts(a: Assembly) -> None:
    group(a, "AnbWeb")["HealthCheckGracePeriod"] = 300


def without_jobs_in_flight(a: Assembly, place: int) -> None:
    metrics = properties(a, "AnbWorker", "AWS::CloudWatch::Alarm", place)["Metrics"]
    metrics[:] = [metric for metric in metrics if metric["Id"] != "inflight"]


@breaks("Backlog")
def workers_start_whatever_is_in_flight(a: Assembly) -> None:
    without_jobs_in_flight(a, 0)


@breaks("Backlog")
def workers_end_while_jobs_are_in_flight(a: Assembly) -> None:
    without_jobs_in_flight(a, 1)


@breaks("Backlog")
def nothing_scales_on_the_queue(a: Assembly) -> None:
    resources = a.templates["AnbWorker"]["Resources"]
    for id_ in [id_ for id_, it in resources.items() if it["Type"] == "AWS::AutoScaling::ScalingPolicy"]:
        del resources[id_]


@breaks("InstanceSignals")
def a_deployment_that_waits_for_nobody(a: Assembly) -> None:
    update = resource(a, "AnbWorker", "AWS::AutoScaling::AutoScalingGroup")["UpdatePolicy"]
    update["AutoScalingRollingUpdate"]["WaitOnResourceSignals"] = False


@breaks("DatabaseAlone")
def somebody_imports_the_database(a: Assembly) -> None:
    template: Any = a.templates["AnbData"]
    template["Outputs"] = {"Host": {"Value": "x", "Export": {"Name": "host"}}}


@breaks("DatabaseAlone")
def a_database_on_the_internet(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["PubliclyAccessible"] = True


@breaks("LabRoles")
def a_role_in_academy(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::IAM::Role")


@breaks("LabRoles")
def an_instance_profile_in_academy(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::IAM::InstanceProfile")


@breaks("LabRoles")
def a_function_in_academy(a: Assembly) -> None:
    add(a, "AnbMedia", "AWS::Lambda::Function")


@breaks("LabRoles")
def a_custom_resource_in_academy(a: Assembly) -> None:
    add(a, "AnbMedia", "Custom::S3AutoDeleteObjects")


@breaks("LabInstanceSizes")
def an_instance_too_large(a: Assembly) -> None:
    launch(a, "AnbWeb")["InstanceType"] = "t3.xlarge"


@breaks("LabInstanceSizes")
def an_instance_without_a_type(a: Assembly) -> None:
    del launch(a, "AnbWorker")["InstanceType"]


@breaks("LabOnDemand")
def spot_instances(a: Assembly) -> None:
    launch(a, "AnbWorker")["InstanceMarketOptions"] = {"MarketType": "spot"}


@breaks("LabOnDemand")
def mixed_instances(a: Assembly) -> None:
    group(a, "AnbWorker")["MixedInstancesPolicy"] = {}


@breaks("LabOnDemand")
def an_instance_fleet(a: Assembly) -> None:
    add(a, "AnbWorker", "AWS::EC2::EC2Fleet")


@breaks("LabVolumes")
def a_volume_too_large(a: Assembly) -> None:
    launch(a, "AnbWeb")["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] = 101


@breaks("LabVolumes")
def a_volume_with_provisioned_iops(a: Assembly) -> None:
    launch(a, "AnbWeb")["BlockDeviceMappings"][0]["Ebs"]["VolumeType"] = "io2"


@breaks("LabVolumes")
def a_separate_volume_of_the_wrong_type(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::EC2::Volume", Size=10, VolumeType="st1")


@breaks("LabDatabases")
def a_database_too_large(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["DBInstanceClass"] = "db.t3.large"


@breaks("LabDatabases")
def a_database_on_gp3(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["StorageType"] = "gp3"


@breaks("LabDatabases")
def a_database_that_may_grow_too_large(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["MaxAllocatedStorage"] = 101


@breaks("LabDatabases")
def a_database_with_enhanced_monitoring(a: Assembly) -> None:
    properties(a, "AnbData", "AWS::RDS::DBInstance")["MonitoringInterval"] = 60


@breaks("TwoZonesAtRest")
def no_maintenance_policy(a: Assembly) -> None:
    del group(a, "AnbWeb")["InstanceMaintenancePolicy"]


@breaks("TwoZonesAtRest")
def an_update_that_ends_an_instance_first(a: Assembly) -> None:
    update = resource(a, "AnbWeb", "AWS::AutoScaling::AutoScalingGroup")["UpdatePolicy"]
    update["AutoScalingRollingUpdate"]["MinInstancesInService"] = 1


@breaks("LabInstances")
def a_surge_of_the_whole_fleet(a: Assembly) -> None:
    group(a, "AnbWeb")["InstanceMaintenancePolicy"] = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}


@breaks("LabInstances")
def a_rolling_update_of_three_at_once(a: Assembly) -> None:
    update = resource(a, "AnbWeb", "AWS::AutoScaling::AutoScalingGroup")["UpdatePolicy"]
    update["AutoScalingRollingUpdate"]["MaxBatchSize"] = 3


@breaks("LabInstances")
def a_web_fleet_that_ends_slowly_too(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::AutoScaling::LifecycleHook", AutoScalingGroupName={"Ref": "Group"})


@breaks("LabInstances")
def another_instance(a: Assembly) -> None:
    add(a, "AnbWeb", "AWS::EC2::Instance", InstanceType="t3.nano")


@breaks("LabInstances")
def more_than_32_cores(a: Assembly) -> None:
    group(a, "AnbWeb")["MaxSize"] = "17"


@breaks("LabLaunches")
def twenty_instances_at_once(a: Assembly) -> None:
    group(a, "AnbWeb")["MaxSize"] = "17"


@pytest.mark.parametrize(("rule", "damage"), BREACHES)
def test_what_breaks_a_rule_is_found(academy, rule, damage):
    assembly = academy.assembly

    damage(assembly)

    assert rule in {finding.rule for finding in check(assembly, rules_for(ACADEMY))}


def test_nothing_is_found_in_what_we_deploy(synthesis):
    assert check(synthesis.assembly, rules_for(synthesis.profile)) == []


def test_a_region_outside_the_lab_is_found(academy):
    assembly = replace(academy.assembly, region="eu-west-1")

    assert {finding.rule for finding in check(assembly, LAB_RULES)} == {"LabRegions"}


def test_every_rule_has_a_test_that_breaks_it():
    broken = {parameters.values[0] for parameters in BREACHES} | {"LabRegions"}

    assert broken == {rule.name for rule in LAB_RULES + PROMISES}


def test_a_finding_names_the_resource_and_the_limit(academy):
    assembly = academy.assembly
    group(assembly, "AnbWorker")["MaxSize"] = "4"

    finding = next(f for f in check(assembly, LAB_RULES) if f.rule == "LabFleetSizes")

    assert (finding.stack, finding.logical_id) == ("AnbWorker", "Group")
    assert finding.sentence == "the course allows a fleet of 3 instances, not 4"


def test_a_broken_rule_fails_the_synthesis_and_names_the_construct(synthesise):
    roles_in_a_lab = replace(PRODUCTION, lab_limits=True)

    with pytest.raises(RuntimeError, match="ValidationFailed") as failed:
        synthesise(roles_in_a_lab)

    assert "AnbWorker/Fleet/Role/Resource" in str(failed.value)
    assert "a lab creates no AWS::IAM::Role: use LabRole and LabInstanceProfile" in str(failed.value)
