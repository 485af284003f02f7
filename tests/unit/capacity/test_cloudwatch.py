"""What AWS measured meanwhile, as botocore's own descriptions of its services allow it to be asked."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from capacity.cloudwatch import BALANCER, SEARCHES, evidence, queries

HOST = "anb-1.us-east-1.elb.amazonaws.com"
ARN = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/anb/0123"
BEGUN, ENDED = datetime(2026, 1, 2, 3, 0, tzinfo=UTC), datetime(2026, 1, 2, 3, 8, tzinfo=UTC)


class Session:
    """The two clients, which answer what the stubs say."""

    def __init__(self):
        session = boto3.session.Session("test", "test", region_name="us-east-1")
        self.clients = {name: session.client(name) for name in ("elbv2", "cloudwatch")}
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, name):
        return self.clients[name]


@pytest.fixture
def session():
    found = Session()
    balancers = {"LoadBalancers": [{"DNSName": HOST, "LoadBalancerArn": ARN}]}
    found.stubs["elbv2"].add_response("describe_load_balancers", balancers)
    yield found
    for client in found.clients.values():
        client.close()


def test_each_metric_becomes_a_series(session):
    answer = {"MetricDataResults": [{"Id": "a", "Label": "RequestCount", "Timestamps": [BEGUN], "Values": [7.0]}]}
    asked = {"MetricDataQueries": ANY, "StartTime": BEGUN, "EndTime": ANY, "ScanBy": "TimestampAscending"}
    session.stubs["cloudwatch"].add_response("get_metric_data", answer, asked)

    assert evidence(session, HOST, begun=BEGUN, ended=ENDED) == [
        {"metric": "RequestCount", "at": ["2026-01-02T03:00:00+00:00"], "values": [7.0]}
    ]


def test_a_host_that_is_no_balancer_of_the_account_has_none(session):
    assert evidence(session, "anb.example.com", begun=BEGUN, ended=ENDED) == []


def test_it_asks_for_the_balancer_and_for_what_is_behind_it():
    asked = queries("app/anb/0123")

    assert [one["Label"].partition(" ")[0] for one in asked] == [*BALANCER, *SEARCHES]
    assert len({one["Id"] for one in asked}) == len(asked)


def test_the_fleets_series_of_one_metric_are_told_apart():
    cpu = next(one for one in queries("app/anb/0123") if one["Label"].startswith("CPUUtilization"))

    assert cpu["Label"] == "CPUUtilization ${PROP('Dim.AutoScalingGroupName')}"
    assert (
        cpu["Expression"] == """SEARCH('{AWS/EC2,AutoScalingGroupName} MetricName="CPUUtilization"', 'Average', 60)"""
    )


def test_what_comes_in_pages_is_read_to_the_end(session):
    for at, following in ((BEGUN, {"NextToken": "more"}), (ENDED, {})):
        page = {"Id": "a", "Label": "RequestCount", "Timestamps": [at], "Values": [7.0]}
        session.stubs["cloudwatch"].add_response("get_metric_data", {"MetricDataResults": [page], **following})

    assert [series["at"] for series in evidence(session, HOST, begun=BEGUN, ended=ENDED)] == [
        ["2026-01-02T03:00:00+00:00"],
        ["2026-01-02T03:08:00+00:00"],
    ]
