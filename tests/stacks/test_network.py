"""The network: two zones, closed to all but the load balancer."""

NOWHERE = "255.255.255.255/32"  # what CDK writes for a group that may reach nobody


def only(assembly, type_):
    return assembly.only("AnbNetwork", type_).properties


def test_the_network_lies_in_two_zones(assembly):
    subnets = list(assembly.resources("AWS::EC2::Subnet"))

    assert len({str(subnet.properties["AvailabilityZone"]) for subnet in subnets}) == 2


def test_the_lab_pays_for_no_nat(academy):
    assert not list(academy.assembly.resources("AWS::EC2::NatGateway"))


def test_production_has_a_nat_in_each_zone(production):
    assert len(list(production.assembly.resources("AWS::EC2::NatGateway"))) == 2


def test_s3_is_reached_without_the_internet(assembly):
    endpoint = only(assembly, "AWS::EC2::VPCEndpoint")

    assert endpoint["VpcEndpointType"] == "Gateway"
    assert str(endpoint["ServiceName"]).count(".s3") == 1
    tables = list(assembly.resources("AWS::EC2::RouteTable"))
    assert len(endpoint["RouteTableIds"]) == len(tables)


def test_flows_are_logged_without_a_role(assembly):
    log = only(assembly, "AWS::EC2::FlowLog")

    assert log["LogDestinationType"] == "s3"
    assert "DeliverLogsPermissionArn" not in log


def test_production_closes_the_default_group(production):
    assert only(production.assembly, "Custom::VpcRestrictDefaultSG")


def test_groups_admit_groups(assembly):
    admitted = {
        (
            assembly.follow("AnbNetwork", rule.properties["GroupId"]).logical_id.rstrip("0123456789ABCDEF"),
            assembly.follow("AnbNetwork", rule.properties["SourceSecurityGroupId"]).logical_id.rstrip(
                "0123456789ABCDEF"
            ),
            rule.properties["FromPort"],
        )
        for rule in assembly.resources("AWS::EC2::SecurityGroupIngress")
        if "SourceSecurityGroupId" in rule.properties
    }

    assert admitted == {
        ("WebGroup", "BalancerGroup", 80),
        ("DatabaseGroup", "WebGroup", 3306),
        ("DatabaseGroup", "WorkerGroup", 3306),
    }


def test_the_internet_enters_at_the_labs_load_balancer_alone_and_nowhere_in_production(academy, production):
    def open_ports(synthesis):
        groups = synthesis.assembly.resources("AWS::EC2::SecurityGroup")
        return [
            (group.logical_id[:13], rule["FromPort"])
            for group in groups
            for rule in group.properties.get("SecurityGroupIngress", [])
        ]

    assert open_ports(academy) == [("BalancerGroup", 80)]
    assert open_ports(production) == []


def test_nothing_leaves_but_to_aws_and_to_each_other(assembly):
    groups = assembly.resources("AWS::EC2::SecurityGroup")
    by_address = [rule for group in groups for rule in group.properties.get("SecurityGroupEgress", [])]
    by_group = [rule.properties for rule in assembly.resources("AWS::EC2::SecurityGroupEgress")]

    assert {(rule["FromPort"], rule["ToPort"]) for rule in by_address if rule["CidrIp"] != NOWHERE} == {(443, 443)}
    assert by_group
    assert [rule for rule in by_group if "DestinationSecurityGroupId" not in rule] == []
