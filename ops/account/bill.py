"""What a deployment costs by being there: an hour as it is, and since it was made.

By public prices, and without what its use adds.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from capacity.costs import Prices, UnknownPrice, standing
from capacity.inventory import Inventory
from deploy import cloudformation
from deploy.account import Account
from ops.account.groups import group_name
from ops.dependencies import CommandFailed
from ops.table import minute
from stacks.names import Names
from stacks.rules.assembly import Assembly

NOT_IN_IT = "traffic, requests, what lies in S3 and surplus CPU credits"
# A group tells its instances once a minute, and a running database its load:
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html,
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/monitoring-cloudwatch.html
_SAMPLES_AN_HOUR = 60
_PERIOD_SECONDS = 3600  # CloudWatch keeps such for 15 months, and shorter ones for less
_LEAST_HOURS = 1 / 60  # that a deployment has been there, whatever the clocks say


def report(account: Account, names: Names) -> dict[str, Any]:
    """Return what an hour costs, by what it is for, and what everything has cost so far; or why that is unknown."""
    bill = Bill(account, names)
    try:
        lines = bill.an_hour()
        so_far = bill.since_deployment(datetime.now(UTC))
    except UnknownPrice as reason:
        return {"cost": None, "cost_unknown_because": str(reason)}
    cost = {
        "usd_an_hour": sum(lines.values()),
        "lines": lines,
        "usd_since_deployment": so_far,
        "deployed_at": bill.deployed_at.isoformat(),
        "prices_of": bill.prices.region,
    }
    return {"cost": cost, "cost_unknown_because": None}


def sentence(reported: Mapping[str, Any]) -> str:
    """Tell people what such a report says."""
    if (cost := reported["cost"]) is None:
        return f"What it costs is not known: {reported['cost_unknown_because']}"
    return (
        f"It costs {cost['usd_an_hour']:.4f} USD an hour as it is, and has cost some "
        f"{cost['usd_since_deployment']:.2f} USD since {minute(datetime.fromisoformat(cost['deployed_at']))}, "
        f"by prices of {cost['prices_of']} without {NOT_IN_IT}."
    )


class Bill:
    """What stands in the account; raises CommandFailed where nothing does, UnknownPrice for what has no price."""

    def __init__(self, account: Account, names: Names) -> None:
        self._account, self._names, self.prices = account, names, Prices.read()
        self._stacks = cloudformation.existing(account, names.stacks)
        if not self._stacks:
            raise CommandFailed(f"no stack of {names.prefix} is deployed in {account.region}")

    @cached_property
    def inventory(self) -> Inventory:
        """What the templates of the account's stacks make."""
        templates = {stack.name: cloudformation.template_of(self._account, stack.name) for stack in self._stacks}
        return Inventory.of(Assembly(self._account.region, templates))

    @property
    def running(self) -> dict[str, float]:
        """The instances of each stack's fleet that there are now."""
        answer = self._account.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=list(self._groups.values())
        )
        counts = {it["AutoScalingGroupName"]: float(len(it["Instances"])) for it in answer["AutoScalingGroups"]}
        return {stack: counts.get(group, 0.0) for stack, group in self._groups.items()}

    @property
    def deployed_at(self) -> datetime:
        """When the first of the stacks was made that are there."""
        return min(stack.created_at for stack in self._stacks)

    def an_hour(self) -> dict[str, float]:
        """Return the US dollars of an hour as things are, by what they are for; what costs nothing is left out."""
        lines = standing(self.inventory, self.running, self.prices, database_share=self._database_runs())
        return {line.what: line.usd / self.prices.hours_per_month for line in lines if line.usd}

    def since_deployment(self, now: datetime) -> float:
        """Return the US dollars since then, by the hours that CloudWatch has seen instances and database run."""
        hours = max((now - self.deployed_at).total_seconds() / 3600, _LEAST_HOURS)
        database, *fleets = self._hours_seen(now)
        average = {stack: seen / hours for stack, seen in zip(self._groups, fleets, strict=True)}
        lines = standing(self.inventory, average, self.prices, database_share=min(1, database / hours))
        return sum(line.usd for line in lines) * hours / self.prices.hours_per_month

    @cached_property
    def _groups(self) -> dict[str, str]:
        return {it.stack: group_name(self._account, it.stack) for it in self.inventory.groups}

    def _database_runs(self) -> bool:
        rds = self._account.client("rds")
        try:
            found = rds.describe_db_instances(DBInstanceIdentifier=self._names.database_instance)
        except rds.exceptions.DBInstanceNotFoundFault:
            return False
        return bool(found["DBInstances"][0]["DBInstanceStatus"] != "stopped")

    def _hours_seen(self, now: datetime) -> list[float]:
        """Return the hours of the database, then the instance-hours of each group, since the deployment."""
        queries = list(self._queries())
        seen = dict.fromkeys((query["Id"] for query in queries), 0.0)
        pages = self._account.client("cloudwatch").get_paginator("get_metric_data")
        for page in pages.paginate(MetricDataQueries=queries, StartTime=self.deployed_at, EndTime=now):
            for series in page["MetricDataResults"]:
                seen[series["Id"]] += sum(series["Values"]) / _SAMPLES_AN_HOUR
        return list(seen.values())

    def _queries(self) -> Iterator[dict[str, Any]]:
        database = {"DBInstanceIdentifier": self._names.database_instance}
        yield _query("database", "AWS/RDS", "CPUUtilization", database, "SampleCount")
        for number, group in enumerate(self._groups.values()):
            named = {"AutoScalingGroupName": group}
            yield _query(f"fleet{number}", "AWS/AutoScaling", "GroupTotalInstances", named, "Sum")


def _query(id_: str, namespace: str, metric: str, dimensions: Mapping[str, str], statistic: str) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": named},
            "Period": _PERIOD_SECONDS,
            "Stat": statistic,
        },
    }
