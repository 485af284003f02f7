"""How a deployment stands: fleets, database, alarms, cost, and what one of its instances knows of the work."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from anb import commands
from ops import status
from ops.account import bill, people
from ops.account.desk import Desk
from ops.dependencies import CommandFailed
from ops.table import table, text


def overview(desk: Desk, params: Mapping[str, Any]) -> int:
    """Print it; the exit code says whether somebody should look at something."""
    report = {
        "fleets": _fleets(desk),
        "database": _database(desk),
        "alarms": _alarms(desk),
        **bill.report(desk.account, desk.names),
        **_work(desk),
    }
    if params["as_json"]:
        commands.print_json(report)
    else:
        _tell(report)
    work = report["work"] or {"dead_letters": 0}
    return commands.FAILED if report["alarms"] or work["dead_letters"] else commands.DONE


def _tell(report: Mapping[str, Any]) -> None:
    rows = [
        (
            name,
            fleet["wanted"],
            sum(fleet["in_service"].values()),
            _zones(fleet["in_service"]),
            _others(fleet["others"]),
        )
        for name, fleet in report["fleets"].items()
    ]
    print(table(("fleet", "wanted", "in service", "by zone", "others"), rows))
    if any(fleet["paused"] for fleet in report["fleets"].values()):
        print("The fleets start nothing: python -m ops resume brings them back.")
    print(f"database  {report['database'] or 'none'}")
    for alarm in report["alarms"]:
        print(f"ALARM  {text(alarm['name'])}: {text(alarm['reason'])}")
    print(bill.sentence(report))
    print()
    if report["work"]:
        status.tell(report["work"])
    else:
        print(f"What waits and works cannot be asked: {report['unasked_because']}")


def _zones(in_service: Mapping[str, int]) -> str:
    return ", ".join(f"{zone} {count}" for zone, count in sorted(in_service.items())) or "-"


def _others(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "-"


def _fleets(desk: Desk) -> dict[str, Any]:
    return {
        fleet: {
            "wanted": group["DesiredCapacity"],
            "at_least": group["MinSize"],
            "at_most": group["MaxSize"],
            "in_service": Counter(
                it["AvailabilityZone"] for it in group["Instances"] if it["LifecycleState"] == "InService"
            ),
            "others": Counter(
                it["LifecycleState"] for it in group["Instances"] if it["LifecycleState"] != "InService"
            ),
            "paused": group["MaxSize"] == 0,
        }
        for fleet, group in desk.fleets.described().items()
    }


def _database(desk: Desk) -> str | None:
    rds = desk.account.client("rds")
    try:
        found = rds.describe_db_instances(DBInstanceIdentifier=desk.names.database_instance)
    except rds.exceptions.DBInstanceNotFoundFault:
        return None
    return str(found["DBInstances"][0]["DBInstanceStatus"])


def _alarms(desk: Desk) -> list[dict[str, str]]:
    """Return those in the state ALARM, of our stack alone: CloudFormation names them after it."""
    pages = desk.account.client("cloudwatch").get_paginator("describe_alarms")
    return [
        {"name": alarm["AlarmName"], "reason": alarm.get("StateReason", "")}
        for page in pages.paginate(AlarmNamePrefix=desk.names.observability, StateValue="ALARM")
        for alarm in page["MetricAlarms"]
    ]


def _work(desk: Desk) -> dict[str, Any]:
    try:
        result = people.run(desk, ["status", "--json"])
    except CommandFailed as reason:
        return {"work": None, "unasked_because": str(reason)}
    if not result.printed:
        return {"work": None, "unasked_because": result.complaints.strip()}
    return {"work": json.loads(result.printed), "unasked_because": None}
