"""Take the system to rest before a lab session ends, and back to work when the next one begins.

A session that ends stops every instance, and a group replaces what was stopped: it would start new ones that nobody
uses, on the lab's budget. At rest there is nothing to replace. Each step is safe to repeat, so that either command
goes on where it was interrupted.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from anb import commands
from deploy import cloudformation
from ops.account import bill
from ops.account.desk import Desk
from ops.account.groups import Size
from ops.dependencies import CommandFailed
from ops.table import minute

# What a group does by itself. It still may end instances, since that is what brings it to none
SUSPENDED = ("Launch", "HealthCheck", "ReplaceUnhealthy", "AZRebalance", "AlarmNotification", "ScheduledActions")
FORGOTTEN = "anb-forgotten"  # the scheduled action that ends what nobody has paused
LOOK_EVERY_SECONDS = 10.0
DATABASE_SECONDS = 1800  # RDS takes 5 to 10 minutes for either
FLEET_SECONDS = 2400  # a boot takes 2 minutes; a worker finishes its video before it goes
_SPAN = re.compile(r"(?:(?P<hours>\d{1,2})h)?(?:(?P<minutes>\d{1,4})m)?")
_MIN_SPAN, _MAX_SPAN = timedelta(minutes=10), timedelta(hours=24)
Seen = TypeVar("Seen")


class Span(click.ParamType[timedelta]):
    """A length of time, such as 4h, 90m or 3h30m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return it; a wrong use unless it is between ten minutes and a day."""
        found = _SPAN.fullmatch(str(value))
        span = (
            timedelta(**{unit: int(number) for unit, number in found.groupdict(default="0").items()})
            if found
            else None
        )
        if span is None or not _MIN_SPAN <= span <= _MAX_SPAN:
            self.fail(f"{value!r} is no time between 10m and 24h, such as 4h or 3h30m.", param, ctx)
        return span


@click.command("pause")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@commands.json_option
@click.pass_obj
def pause(desk: Desk, *, dry_run: bool, as_json: bool) -> int:
    """Take the system to rest: no instances, a stopped database, nothing lost.

    First the groups are told to start nothing any more, so that a session may end at any moment from then on. Workers
    finish the video that they have in hand; what waits in the queue waits on. It takes some 10 minutes. Run it again
    if it was interrupted.
    """
    lab = Lab(desk, _progress)
    lab.check_idle()
    if dry_run:
        lab.tell_what_pauses()
    else:
        lab.pause()
    _report(lab, as_json=as_json, done="Nothing was changed: this only looked." if dry_run else "At rest.")
    return commands.DONE


@click.command("resume")
@click.option("--for", "span", type=Span(), metavar="TIME", help="End all instances after that, such as 4h or 3h30m.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@commands.json_option
@click.pass_obj
def resume(desk: Desk, *, span: timedelta | None, dry_run: bool, as_json: bool) -> int:
    """Bring the system back to work after a pause, with the fleets that were deployed.

    With --for, AWS itself brings the fleets to none at the end, even when nobody thinks of it and the session is
    over: choose some minutes less than the session has. The database is left running then. Without, such an end that
    was set before is taken back.
    """
    lab = Lab(desk, _progress)
    lab.check_idle()
    if dry_run:
        lab.tell_what_resumes(span)
    else:
        lab.resume(span)
    _report(lab, as_json=as_json, done="Nothing was changed: this only looked." if dry_run else "At work.")
    return commands.DONE


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _report(lab: "Lab", *, as_json: bool, done: str) -> None:
    report = lab.report()
    if as_json:
        commands.print_json(report)
    else:
        print("\n".join([done, *told(report)]))


def told(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a report of `Lab` says to people."""
    if report["cost"] and not any(report["in_service"].values()):
        for what, usd in report["cost"]["lines"].items():
            yield f"  still costs: {what}, {usd:.4f} USD an hour"
    yield bill.sentence(report)
    if report["database_starts_itself_at"]:
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_StopInstance.html
        yield (
            "The database is stopped. RDS starts it by itself 7 days after that "
            f"({report['database_starts_itself_at']}), and it costs again from then on: run python -m ops pause "
            "again, or make destroy."
        )
    if report["ends_at"]:
        yield f"All instances end at {report['ends_at']}; the database runs on until python -m ops pause."
    if report["url"] and any(report["in_service"].values()):
        yield f"The site is at {report['url']}"


class Lab:
    """A deployment that goes to rest and back; `say` is told of every step."""

    def __init__(self, desk: Desk, say: Callable[[str], None]) -> None:
        self._desk, self._say = desk, say
        self._autoscaling = desk.account.client("autoscaling")
        self._rds = desk.account.client("rds")
        self._groups = desk.fleets.group_names

    def check_idle(self) -> None:
        """Raise CannotDeploy while a deployment runs, which would wait for instances that never come."""
        cloudformation.check_idle(cloudformation.existing(self._desk.account, self._desk.names.stacks))

    # ---- to rest

    def pause(self) -> None:
        """End everything that costs by the hour and can come back, from wherever an earlier pause has got."""
        self.suspend()
        self.empty()
        self.stop_database()

    def suspend(self) -> None:
        """Have the groups start and replace nothing any more."""
        for fleet, name in self._groups.items():
            self._autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=list(SUSPENDED))
            self._say(f"{fleet}: the group starts and replaces nothing any more")
        self._end(None)

    def empty(self) -> None:
        """End all instances, and wait until they are gone."""
        for name in self._groups.values():
            self._autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0
            )
        self._wait(
            lambda: {fleet: self._left(fleet) for fleet in self._groups},
            lambda left: not any(left.values()),
            said=lambda left: ", ".join(f"{fleet}: {count} instances still there" for fleet, count in left.items()),
            seconds=FLEET_SECONDS,
        )
        self._say("no instances")

    def _left(self, fleet: str) -> int:
        """Return how many instances there still are, and have the group take those that protect themselves, too.

        A worker with jobs before it protects its instance until there are none, which may be hours away; the group's
        termination hook lets it finish the one in hand all the same.
        """
        there = self._instances(fleet)
        protected = [
            it["InstanceId"] for it in there if it["ProtectedFromScaleIn"] and it["LifecycleState"] == "InService"
        ]
        # One that has left in this moment needs it no more
        with suppress(self._autoscaling.exceptions.ClientError):
            if protected:
                self._autoscaling.set_instance_protection(
                    AutoScalingGroupName=self._groups[fleet], InstanceIds=protected, ProtectedFromScaleIn=False
                )
        return len(there)

    def stop_database(self) -> None:
        """Stop the database, and wait until it is stopped; one that is not there costs nothing."""
        status = self._settled_database()
        if status == "available":
            self._say("database: stopping, some minutes")
            self._rds.stop_db_instance(DBInstanceIdentifier=self._desk.names.database_instance)
            status = self._settled_database()
        self._say(f"database: {status or 'none'}")

    # ---- to work

    def resume(self, span: timedelta | None) -> None:
        """Bring back what was deployed; with a span, have its instances end after that."""
        self.start_database()
        self.set_end(span)
        self.fill()

    def start_database(self) -> None:
        """Start the database, and wait until it is there."""
        status = self._settled_database()
        if status == "stopped":
            self._say("database: starting, some minutes")
            self._rds.start_db_instance(DBInstanceIdentifier=self._desk.names.database_instance)
            status = self._settled_database()
        self._say(f"database: {status or 'none: make deploy brings one'}")

    def set_end(self, span: timedelta | None) -> None:
        """Have all instances end after that time, whoever thinks of it; without one, have them stay."""
        self._end(None if span is None else datetime.now(UTC) + span)

    def fill(self) -> None:
        """Give the groups their deployed sizes, and wait until all instances serve."""
        for fleet, name in self._groups.items():
            size = self._desk.fleets.deployed_size(fleet)
            self._autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=name,
                MinSize=size.at_least,
                MaxSize=size.at_most,
                DesiredCapacity=max(size.wanted, len(self._instances(fleet))),
            )
            self._autoscaling.resume_processes(AutoScalingGroupName=name)
            self._say(f"{fleet}: {size.at_least} to {size.at_most} instances")
        for fleet in self._groups:
            self._wait_until_it_serves(fleet, self._desk.fleets.deployed_size(fleet))

    def _wait_until_it_serves(self, fleet: str, size: Size) -> None:
        self._wait(
            lambda: self._serving(fleet),
            lambda serving: serving >= size.wanted,
            said=lambda serving: f"{fleet}: {serving} of {size.wanted} serve",
            seconds=FLEET_SECONDS,
        )

    # ---- what is

    def tell_what_pauses(self) -> None:
        """Say what a pause would do."""
        for fleet in self._groups:
            self._say(f"would end {len(self._instances(fleet))} instances of {fleet}, and have its group start none")
        self._say(f"would stop the database, which is {self._database_status() or 'not there'}")

    def tell_what_resumes(self, span: timedelta | None) -> None:
        """Say what a resumption would do."""
        self._say(f"would start the database, which is {self._database_status() or 'not there'}")
        for fleet in self._groups:
            size = self._desk.fleets.deployed_size(fleet)
            self._say(f"would give {fleet} {size.at_least} to {size.at_most} instances")
        if span:
            self._say(f"would end all instances at {minute(datetime.now(UTC) + span)}")

    def report(self) -> dict[str, Any]:
        """Return how the system stands and what it costs at rest."""
        web = cloudformation.find(self._desk.account, self._desk.names.web)
        stopped = self._database()
        at_rest = stopped is not None and stopped["DBInstanceStatus"] in {"stopping", "stopped"}
        starts = stopped and stopped.get("AutomaticRestartTime")
        return {
            "in_service": {fleet: len(self._instances(fleet)) for fleet in self._groups},
            "database": stopped["DBInstanceStatus"] if stopped else None,
            "database_starts_itself_at": (minute(starts) if starts else "it does not say when") if at_rest else None,
            "ends_at": self._ends_at(),
            **bill.report(self._desk.account, self._desk.names),
            "url": web.outputs.get("Url") if web else None,
        }

    def _instances(self, fleet: str) -> list[dict[str, Any]]:
        instances: list[dict[str, Any]] = self._desk.fleets.described()[fleet]["Instances"]
        return instances

    def _serving(self, fleet: str) -> int:
        """Return how many instances are in service and, where a balancer is in front of them, well."""
        group = self._desk.fleets.described()[fleet]
        serving = {it["InstanceId"] for it in group["Instances"] if it["LifecycleState"] == "InService"}
        for targets in group.get("TargetGroupARNs", ()):
            health = self._desk.account.client("elbv2").describe_target_health(TargetGroupArn=targets)
            serving &= {
                it["Target"]["Id"]
                for it in health["TargetHealthDescriptions"]
                if it["TargetHealth"]["State"] == "healthy"
            }
        return len(serving)

    def _database(self) -> Mapping[str, Any] | None:
        try:
            found = self._rds.describe_db_instances(DBInstanceIdentifier=self._desk.names.database_instance)
        except self._rds.exceptions.DBInstanceNotFoundFault:
            return None
        database: Mapping[str, Any] = found["DBInstances"][0]
        return database

    def _database_status(self) -> str | None:
        database = self._database()
        return str(database["DBInstanceStatus"]) if database else None

    def _settled_database(self) -> str | None:
        """Wait until the database is in no change, and return in which state."""
        return self._wait(
            self._database_status,
            lambda status: status in {None, "available", "stopped"},
            said=lambda status: f"database: {status}",
            seconds=DATABASE_SECONDS,
        )

    def _ends_at(self) -> str | None:
        found = self._autoscaling.describe_scheduled_actions(ScheduledActionNames=[FORGOTTEN])
        times = [
            it["StartTime"]
            for it in found["ScheduledUpdateGroupActions"]
            if it["AutoScalingGroupName"] in self._groups.values()
        ]
        return minute(min(times)) if times else None

    def _end(self, at: datetime | None) -> None:
        for fleet, name in self._groups.items():
            if at is None:
                # There is none, most of the time
                with suppress(self._autoscaling.exceptions.ClientError):
                    self._autoscaling.delete_scheduled_action(
                        AutoScalingGroupName=name, ScheduledActionName=FORGOTTEN
                    )
                continue
            self._autoscaling.put_scheduled_update_group_action(
                AutoScalingGroupName=name,
                ScheduledActionName=FORGOTTEN,
                StartTime=at,
                MinSize=0,
                MaxSize=0,
                DesiredCapacity=0,
            )
            self._say(f"{fleet}: AWS ends all instances at {minute(at)}")

    def _wait(
        self, look: Callable[[], Seen], over: Callable[[Seen], bool], *, said: Callable[[Seen], str], seconds: float
    ) -> Seen:
        waited, told = 0.0, None
        while not over(seen := look()):
            if told != (line := said(seen)):
                self._say(line)
                told = line
            if waited > seconds:
                raise CommandFailed(
                    f"{line} after {seconds:.0f} s: look at the console, then run this again to go on"
                )
            self._desk.rest(LOOK_EVERY_SECONDS)
            waited += LOOK_EVERY_SECONDS
        return seen
