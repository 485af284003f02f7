"""What AWS measured of a deployed system meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

PERIOD_SECONDS = 60
# A value can be read up to two minutes after it was sent, which may be a period after what it tells of:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/publishingMetrics.html
COMPLETE_AFTER_SECONDS = 180
BALANCER = {  # metric: statistic
    "TargetResponseTime": "p95",
    "RequestCount": "Sum",
    "HTTPCode_ELB_5XX_Count": "Sum",
    "HTTPCode_Target_5XX_Count": "Sum",
}
SEARCHES = {  # metric: its namespace, and the dimension that tells the searched series apart
    "CPUUtilization": ("AWS/EC2", "AutoScalingGroupName"),
    "CPUCreditBalance": ("AWS/EC2", "AutoScalingGroupName"),
    "DatabaseConnections": ("AWS/RDS", "DBInstanceIdentifier"),
    "ApproximateNumberOfMessagesVisible": ("AWS/SQS", "QueueName"),
}


def evidence(session: Any, host: str, *, begun: datetime, ended: datetime) -> list[dict[str, Any]]:
    """Return the series of the balancer at the host, and of what its account runs: one value for each minute.

    The last minutes are missing until `COMPLETE_AFTER_SECONDS` have passed since the end.
    `session` is a boto3 session; nothing is returned for a host that is no load balancer of its account.
    """
    balancers = session.client("elbv2").describe_load_balancers()["LoadBalancers"]
    found = next((one["LoadBalancerArn"] for one in balancers if one["DNSName"].lower() == host.lower()), None)
    if found is None:
        return []
    answers = (
        session.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries(found.partition(":loadbalancer/")[2]),
            StartTime=begun,
            EndTime=ended + timedelta(seconds=PERIOD_SECONDS),
            ScanBy="TimestampAscending",
        )
    )
    return [
        {
            "metric": series["Label"],
            "at": [at.astimezone(UTC).isoformat() for at in series["Timestamps"]],
            "values": series["Values"],
        }
        for answer in answers
        for series in answer["MetricDataResults"]
    ]


def queries(balancer: str) -> list[dict[str, Any]]:
    """Return what CloudWatch is asked; `balancer` is the end of its ARN, as the metrics name it."""
    of_balancer = [
        {
            "Id": f"balancer{number}",
            "Label": metric,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "LoadBalancer", "Value": balancer}],
                },
                "Period": PERIOD_SECONDS,
                "Stat": statistic,
            },
        }
        for number, (metric, statistic) in enumerate(BALANCER.items())
    ]
    searched = [
        {
            "Id": f"search{number}",
            # Every series that the search finds is labelled so, with its own value of the dimension:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
            "Label": f"{metric} ${{PROP('Dim.{dimension}')}}",
            "Expression": f"SEARCH('{{{schema},{dimension}}} MetricName=\"{metric}\"', 'Average', {PERIOD_SECONDS})",
            "Period": PERIOD_SECONDS,
        }
        for number, (metric, (schema, dimension)) in enumerate(SEARCHES.items())
    ]
    return of_balancer + searched
