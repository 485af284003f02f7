"""The account that the twin's system is in, as far as `ops pause` and `ops resume` ask it.

It answers as boto3 does. A lab session that has ended answers nothing, until the next begins.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NoReturn

from botocore.exceptions import ClientError

from anb.timings import Timings
from deploy.account import Account
from ops.account.desk import Desk
from stacks.rules.assembly import Assembly
from twin.fleet import RunningFleet
from twin.groups import Instance, Size
from twin.world import World

_SECONDS_BETWEEN_SAMPLES = 60


class TwinDesk(Desk):
    """Where the operator of the twin's system sits, whose waiting is the twin's."""

    def __init__(self, session: "Session", *, rest: Callable[[float], None]) -> None:
        super().__init__({}, Timings())
        self.aws, self._session, self._rest = True, session, rest

    @cached_property
    def account(self) -> Account:
        """The twin's."""
        return Account(session=self._session, region=self._session.region_name)

    def rest(self, seconds: float) -> None:
        """Let the twin's time go on."""
        self._rest(seconds)


class Session:
    """A session of the lab: every service's client in one, since no two have a call of the same name."""

    def __init__(self, world: World, assembly: Assembly, *, run_database: Callable[[bool], None]) -> None:
        self.region_name, self.exceptions = assembly.region, self
        self.is_open = True
        self._world, self._assembly, self._run_database = world, assembly, run_database
        self._has_database = True
        self._fleets = {it.fleet.group_name: it for it in (world.web, world.workers)}

    ClientError = ClientError
    DBInstanceNotFoundFault = ClientError  # never raised: the database is stopped, and not away

    def client(self, _service: str, **_settings: object) -> "Session":
        """Return the client of a service."""
        return self

    def _check(self) -> None:
        """Raise what AWS answers when the credentials of a session are over."""
        if not self.is_open:
            raise ClientError(
                {
                    "Error": {
                        "Code": "ExpiredToken",
                        "Message": "The security token included in the request is expired",
                    }
                },
                "AnyOperation",
            )

    def _fleet(self, asked: Mapping[str, Any]) -> RunningFleet:
        self._check()
        return self._fleets[asked["AutoScalingGroupName"]]

    # ---- CloudFormation

    def describe_stacks(self, **asked: Any) -> dict[str, Any]:
        """Return a stack that was made when the twin's time began."""
        self._check()
        if asked["StackName"] not in self._assembly.templates:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        made = datetime.now(UTC) - timedelta(seconds=self._world.loop.now())
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "CreationTime": made}]}

    def describe_stack_resource(self, **asked: Any) -> dict[str, Any]:
        """Return the group of a fleet's stack."""
        self._check()
        (name,) = (name for name, it in self._fleets.items() if it.fleet.name == asked["StackName"])
        return {"StackResourceDetail": {"PhysicalResourceId": name}}

    def get_template(self, **asked: Any) -> dict[str, Any]:
        """Return a stack's template."""
        self._check()
        return {"TemplateBody": self._assembly.templates[asked["StackName"]]}

    # ---- EC2 Auto Scaling

    def describe_auto_scaling_groups(self, **asked: Any) -> dict[str, Any]:
        """Return groups, with those of their instances that are not gone."""
        self._check()
        return {"AutoScalingGroups": [_group(name, self._fleets[name]) for name in asked["AutoScalingGroupNames"]]}

    def suspend_processes(self, **asked: Any) -> None:
        """Have a group leave processes."""
        self._fleet(asked).suspend(*asked["ScalingProcesses"])

    def resume_processes(self, **asked: Any) -> None:
        """Have a group go on with all of them."""
        self._fleet(asked).resume()

    def update_auto_scaling_group(self, **asked: Any) -> None:
        """Give a group another size."""
        size = Size(asked["MinSize"], asked["MaxSize"])
        self._fleet(asked).resize(size, desired=asked["DesiredCapacity"])

    def set_instance_protection(self, **asked: Any) -> None:
        """Protect instances, or no longer."""
        for instance in asked["InstanceIds"]:
            self._fleet(asked).protect(instance, is_protected=asked["ProtectedFromScaleIn"])

    def describe_scheduled_actions(self, **_asked: Any) -> dict[str, Any]:
        """Return none."""
        self._check()
        return {"ScheduledUpdateGroupActions": []}

    def delete_scheduled_action(self, **_asked: Any) -> NoReturn:
        """Refuse, since there is none."""
        self._check()
        raise ClientError({"Error": {"Code": "ValidationError"}}, "DeleteScheduledAction")

    def describe_target_health(self, **_asked: Any) -> dict[str, Any]:
        """Return what the balancer says of the web servers."""
        self._check()
        balancer = self._world.web.balancer
        healthy = balancer.healthy() if balancer else []
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": id_}, "TargetHealth": {"State": "healthy"}} for id_ in healthy
            ]
        }

    # ---- RDS

    def describe_db_instances(self, **_asked: Any) -> dict[str, Any]:
        """Return the database."""
        self._check()
        return {"DBInstances": [{"DBInstanceStatus": "available" if self._has_database else "stopped"}]}

    def stop_db_instance(self, **_asked: Any) -> None:
        """Stop it, at once."""
        self._check()
        self._run_database(False)
        self._has_database = False

    def start_db_instance(self, **_asked: Any) -> None:
        """Start it, at once."""
        self._check()
        self._run_database(True)
        self._has_database = True

    # ---- CloudWatch

    def get_paginator(self, _operation: str) -> "Session":
        """Return who pages through the only thing that is asked in pages."""
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """Yield one sum for each series: of its samples, one a minute."""
        self._check()
        seconds = {
            self._world.web.fleet.group_name: self._world.servers.spent_instance_seconds(),
            self._world.workers.fleet.group_name: self._world.encoders.spent_instance_seconds(),
        }
        for query in asked["MetricDataQueries"]:
            (dimension,) = query["MetricStat"]["Metric"]["Dimensions"]
            spent = seconds.get(dimension["Value"], self._world.loop.now())  # else the database's
            yield {"MetricDataResults": [{"Id": query["Id"], "Values": [spent / _SECONDS_BETWEEN_SAMPLES]}]}


def _group(name: str, running: RunningFleet) -> dict[str, Any]:
    group = running.group
    return {
        "AutoScalingGroupName": name,
        "MinSize": group.size.least,
        "MaxSize": group.size.most,
        "DesiredCapacity": group.desired,
        "TargetGroupARNs": ["targets"] if running.balancer else [],
        "Instances": [_instance(it) for it in group.instances.values()],
    }


def _instance(instance: Instance) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.zone,
        "LifecycleState": instance.state.value,
        "ProtectedFromScaleIn": instance.is_protected,
    }
