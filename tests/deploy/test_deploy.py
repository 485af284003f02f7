"""Everything is deployed and destroyed by the commands that people use; AWS is emulated, CDK's command line is not.

The tests share one account and run in this order, as a term goes.
"""

import base64
import json
import re

import pytest

from deploy import cdk
from stacks import names
from stacks.profiles import ACADEMY

ASSETS = "anb-assets-123456789012-us-east-1"
STACKS = {"AnbNetwork", "AnbData", "AnbMedia", "AnbWeb", "AnbWorker", "AnbObservability"}


@pytest.fixture(scope="module")
def deployed(lab):
    """The account after `make bootstrap` and `make deploy`."""
    lab.deploy("bootstrap")
    lab.said.append(lab.deploy("up"))
    return lab


@pytest.fixture(scope="module")
def groups(deployed):
    """Both groups by name of their service."""
    found = deployed.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    workers = ACADEMY.names.worker_group
    return {"worker" if group["AutoScalingGroupName"] == workers else "web": group for group in found}


@pytest.fixture(params=["web", "worker"])
def group(groups, request):
    """Each group in turn."""
    return groups[request.param]


@pytest.fixture
def template(deployed, group):
    """What a group starts its instances from."""
    asked = group["LaunchTemplate"]
    versions = deployed.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=asked["LaunchTemplateId"], Versions=[asked["Version"]]
    )
    return versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


@pytest.fixture
def script(template):
    """The user data of an instance, with everything that only deployment knows."""
    return base64.b64decode(template["UserData"]).decode()


def stacks(lab):
    found = lab.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"}


def databases(lab):
    return lab.client("rds").describe_db_instances()["DBInstances"]


def policies(lab, group):
    name = group["AutoScalingGroupName"]
    return lab.client("autoscaling").describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]


def alarms(lab):
    return lab.client("cloudwatch").describe_alarms()["MetricAlarms"]


def queue(lab, url):
    return lab.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_the_bucket_to_upload_to_is_private(deployed):
    blocked = deployed.client("s3").get_public_access_block(Bucket=ASSETS)["PublicAccessBlockConfiguration"]

    assert set(blocked.values()) == {True}


def test_all_stacks_are_there(deployed):
    assert stacks(deployed) == STACKS | {"AnbBootstrap"}


def test_the_address_is_told_at_the_end(deployed):
    address = deployed.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["DNSName"]

    assert deployed.said[0].splitlines()[-1] == f"The site is at http://{address}"


def test_no_role_was_made(deployed):
    assert deployed.client("iam").list_roles()["Roles"] == []


def test_web_servers_are_two_to_three_and_workers_one_to_three(groups):
    sizes = {service: (group["MinSize"], group["MaxSize"]) for service, group in groups.items()}

    assert sizes == {"web": (2, 3), "worker": (1, 3)}


def test_a_group_lies_over_two_zones(deployed, group):
    subnets = deployed.client("ec2").describe_subnets(SubnetIds=group["VPCZoneIdentifier"].split(","))["Subnets"]

    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert [instance["LifecycleState"] for instance in group["Instances"]] == ["InService"] * group["MinSize"]


def test_an_instance_is_what_the_business_decided_on(template):
    volume = template["BlockDeviceMappings"][0]["Ebs"]

    assert template["InstanceType"] == "t3.small"
    assert (volume["VolumeSize"], volume["VolumeType"], volume["Encrypted"]) == (30, "gp3", True)
    assert template["MetadataOptions"]["HttpTokens"] == "required"
    assert template["IamInstanceProfile"]["Arn"].endswith(":instance-profile/LabInstanceProfile")


def test_an_instance_is_told_where_everything_is(deployed, script):
    stack = deployed.client("cloudformation").describe_stacks(StackName="AnbMedia")["Stacks"][0]
    media = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    assert script.startswith("#!/bin/bash")
    assert not re.search("@[A-Z_]+@", script)
    assert f"'{media['Bucket']}'" in script
    assert f"'{media['Queue']}'" in script


def test_an_instance_finds_its_artefacts(deployed, script):
    keys = re.findall(f"s3://{ASSETS}/([0-9a-f]+\\.zip)", script)

    assert keys
    assert all(deployed.client("s3").head_object(Bucket=ASSETS, Key=key)["ContentLength"] for key in keys)


def test_the_web_scales_on_requests_and_on_cpu(deployed, groups):
    tracked = [policy["TargetTrackingConfiguration"] for policy in policies(deployed, groups["web"])]

    metrics = {policy["PredefinedMetricSpecification"]["PredefinedMetricType"] for policy in tracked}
    assert metrics == {"ALBRequestCountPerTarget", "ASGAverageCPUUtilization"}


def test_workers_scale_on_jobs_for_each_instance_both_ways(deployed, groups):
    found = policies(deployed, groups["worker"])

    assert [policy["PolicyType"] for policy in found] == ["StepScaling", "StepScaling"]
    steps = [step["ScalingAdjustment"] for policy in found for step in policy["StepAdjustments"]]
    assert sorted(steps) == [-1, 1, 2]


def test_a_worker_is_waited_for_before_it_ends(deployed):
    hooks = deployed.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=ACADEMY.names.worker_group)

    hook = hooks["LifecycleHooks"][0]
    assert hook["LifecycleHookName"] == names.TERMINATION_HOOK
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (300, "CONTINUE")


def test_the_balancer_sends_requests_to_healthy_instances(deployed):
    balancers = deployed.client("elbv2")
    balancer = balancers.describe_load_balancers()["LoadBalancers"][0]
    listener = balancers.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
    targets = balancers.describe_target_groups()["TargetGroups"][0]

    assert balancer["Scheme"] == "internet-facing"
    assert len(balancer["AvailabilityZones"]) == 2
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
    assert listener["DefaultActions"][0]["TargetGroupArn"] == targets["TargetGroupArn"]
    assert (targets["Port"], targets["HealthCheckPath"]) == (80, "/healthz")


def test_a_message_that_nobody_can_work_on_goes_to_the_dead_letters(deployed):
    sqs = deployed.client("sqs")
    jobs = queue(deployed, sqs.get_queue_url(QueueName=ACADEMY.names.job_queue)["QueueUrl"])
    redrive = json.loads(jobs["RedrivePolicy"])
    name = redrive["deadLetterTargetArn"].rpartition(":")[2]
    dead = queue(deployed, sqs.get_queue_url(QueueName=name)["QueueUrl"])

    assert jobs["VisibilityTimeout"] == "120"
    assert int(redrive["maxReceiveCount"]) == 6
    assert json.loads(dead["RedriveAllowPolicy"])["sourceQueueArns"] == [jobs["QueueArn"]]


def test_the_database_is_small_encrypted_and_private(deployed):
    database = databases(deployed)[0]

    assert (database["DBInstanceClass"], database["StorageType"]) == ("db.t3.micro", "gp2")
    assert (database["Engine"], database["EngineVersion"][:3]) == ("mysql", "8.4")
    assert database["StorageEncrypted"]
    assert not database["PubliclyAccessible"]


def test_only_the_fleets_reach_the_database(deployed):
    ec2 = deployed.client("ec2")
    groups = {group["GroupId"]: group for group in ec2.describe_security_groups()["SecurityGroups"]}
    database = next(group for group in groups.values() if group["Description"].startswith("The database"))

    rules = database["IpPermissions"]
    callers = [groups[pair["GroupId"]]["Description"] for rule in rules for pair in rule["UserIdGroupPairs"]]
    assert sorted(caller.partition(":")[0] for caller in callers) == ["Web instances", "Workers"]
    assert {rule["FromPort"] for rule in rules} == {3306}
    assert not any(rule["IpRanges"] for rule in rules)


def test_instances_find_complete_credentials(deployed):
    where = deployed.client("ssm").get_parameter(Name=ACADEMY.names.database_parameter)["Parameter"]["Value"]

    secret = json.loads(deployed.client("secretsmanager").get_secret_value(SecretId=where)["SecretString"])
    assert {"host", "port", "username", "password"} <= secret.keys()


def test_each_alarm_of_the_runbook_tells_somebody(deployed):
    runbook = (cdk.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = {line[4:].lower().replace(" ", "-") for line in runbook.splitlines() if line.startswith("### ")}

    telling = [alarm["AlarmDescription"] for alarm in alarms(deployed) if ":sns:" in str(alarm["AlarmActions"])]
    assert {text.partition("#")[2] for text in telling} == headings


def test_traffic_is_logged(deployed):
    log = deployed.client("ec2").describe_flow_logs()["FlowLogs"][0]

    assert (log["LogDestinationType"], log["FlowLogStatus"]) == ("s3", "ACTIVE")


def test_the_database_is_destroyed_alone_and_comes_back(deployed):
    deployed.cdk("destroy", "AnbData", "--force")

    assert databases(deployed) == []
    assert stacks(deployed) == STACKS - {"AnbData"} | {"AnbBootstrap"}
    assert len(alarms(deployed)) > 10

    said = deployed.cdk("deploy", "--all", "--require-approval", "never", "--ci")

    assert said.count("(no changes)") == len(STACKS) - 1
    assert [database["DBInstanceStatus"] for database in databases(deployed)] == ["available"]


def test_nothing_is_destroyed_unasked(deployed):
    said = deployed.deploy("down", status=2)

    assert "There is no terminal to ask on: say --yes" in said
    assert stacks(deployed) == STACKS | {"AnbBootstrap"}


def test_looking_tells_what_would_go_and_what_would_stay(deployed):
    said = deployed.deploy("down", "--dry-run").splitlines()

    goes = [line.removeprefix("  Goes: ") for line in said if line.startswith("  Goes: ")]
    stays = [line.removeprefix("  Stays: ") for line in said if line.startswith("  Stays: ")]
    assert said[0] == "In account 123456789012, region us-east-1:"
    assert re.fullmatch("Anb.*, AnbNetwork: [0-9]+ resources.", goes[0])
    assert goes[1] == "database anb-database with every account, video and vote in it."
    assert [line.partition("-")[0] for line in goes[2:]] == ["bucket anbmedia", "bucket anbnetwork"]
    assert [line.partition(" with")[0] for line in stays] == [f"bucket {ASSETS}"]
    assert "costs a few cents a month" in stays[0]
    assert said[-1] == "Nothing was destroyed: this only looked."
    assert stacks(deployed) == STACKS | {"AnbBootstrap"}


def test_whoever_says_no_keeps_everything(deployed):
    said = deployed.deploy_answering("down", answers="y\nn\n", status=1)

    assert "Take a snapshot of the database first? It costs 0.095 USD a GiB and month. [Y/n]" in said
    assert said.splitlines()[-1].endswith("Destroy this? [y/N]: Nothing was destroyed.")
    assert stacks(deployed) == STACKS | {"AnbBootstrap"}
    assert deployed.client("rds").describe_db_snapshots()["DBSnapshots"] == []


def test_our_own_command_destroys_the_database_alone_and_keeps_a_snapshot(deployed):
    said = deployed.deploy_answering("database-down", answers="y\ny\n")

    assert "The database is gone." in said
    assert databases(deployed) == []
    assert stacks(deployed) == STACKS - {"AnbData"} | {"AnbBootstrap"}
    kept = deployed.client("rds").describe_db_snapshots()["DBSnapshots"][0]["DBSnapshotIdentifier"]
    assert f"Left: database snapshot {kept}; databaseSnapshot={kept} restores it" in said
    deployed.client("rds").delete_db_snapshot(DBSnapshotIdentifier=kept)


def test_destroying_everything_leaves_only_the_asset_bucket(deployed):
    fill_videos_bucket(deployed)

    said = deployed.deploy("down", "--yes")

    assert stacks(deployed) == {"AnbBootstrap"}
    assert [bucket["Name"] for bucket in deployed.client("s3").list_buckets()["Buckets"]] == [ASSETS]
    assert deployed.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert deployed.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert deployed.client("sqs").list_queues().get("QueueUrls", []) == []
    assert deployed.client("logs").describe_log_groups()["logGroups"] == []
    assert [line for line in said.splitlines() if line.startswith("Left: ")] == [said.splitlines()[-1]]
    assert ASSETS in said.splitlines()[-1]


def fill_videos_bucket(lab):
    """Put what keeps a bucket from being deleted: a version under another, a delete marker, half an upload."""
    s3 = lab.client("s3")
    names_ = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    videos = next(name for name in names_ if name.startswith("anbmedia-"))
    for content in (b"one", b"two"):
        s3.put_object(Bucket=videos, Key="uploads/video.mp4", Body=content)
    s3.delete_object(Bucket=videos, Key="uploads/video.mp4")
    s3.create_multipart_upload(Bucket=videos, Key="uploads/half.mp4")


def test_nothing_is_destroyed_twice(deployed):
    assert "There is no stack of ours." in deployed.deploy("down", "--yes")
