"""Take snapshots of the database, and list them."""

from datetime import UTC, datetime
from typing import Any

import click

from anb import commands
from ops.account.desk import Desk
from ops.dependencies import CommandFailed
from ops.table import table

USD_A_GIB_AND_MONTH = 0.095  # https://aws.amazon.com/rds/mysql/pricing/
PROJECT = {"Key": "project", "Value": "anb-rising-stars"}


@click.group("snapshot", help=__doc__)
def command() -> None:
    """Do nothing by itself."""


@command.command()
@commands.json_option
@click.pass_obj
def take(desk: Desk, *, as_json: bool) -> int:
    """Take one and wait until it is there: some minutes, during which the system works on."""
    rds, database = desk.account.client("rds"), desk.names.database_instance
    name = f"{database}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    try:
        rds.create_db_snapshot(DBInstanceIdentifier=database, DBSnapshotIdentifier=name, Tags=[PROJECT])
    except rds.exceptions.DBInstanceNotFoundFault:
        raise CommandFailed("there is no database to take a snapshot of") from None
    except rds.exceptions.InvalidDBInstanceStateFault:
        raise CommandFailed("a snapshot is taken of an available database alone: python -m ops resume") from None
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=name, WaiterConfig={"Delay": 10, "MaxAttempts": 360}
    )
    if as_json:
        commands.print_json({"snapshot": name})
    else:
        print(f"{name} is there; make deploy SETTINGS=databaseSnapshot={name} restores it into a new database")
    return commands.DONE


@command.command("list")
@commands.json_option
@click.pass_obj
def list_all(desk: Desk, *, as_json: bool) -> int:
    """List all of them, the oldest first, with what they cost."""
    found = sorted(_snapshots(desk), key=lambda snapshot: snapshot["taken_at"] or "")
    if as_json:
        commands.print_json(found)
    else:
        rows = [(it["name"], it["status"], it["taken_at"], f"{it['gib']} GiB") for it in found]
        print(table(("snapshot", "state", "taken", "size"), rows))
        print(f"{len(found)} snapshots; each costs up to {USD_A_GIB_AND_MONTH} USD a GiB and month")
    return commands.DONE


def _snapshots(desk: Desk) -> list[dict[str, Any]]:
    pages = desk.account.client("rds").get_paginator("describe_db_snapshots")
    return [
        {
            "name": it["DBSnapshotIdentifier"],
            "status": it["Status"],
            "taken_at": it["SnapshotCreateTime"].isoformat(timespec="seconds")
            if "SnapshotCreateTime" in it
            else None,
            "gib": it["AllocatedStorage"],
        }
        for page in pages.paginate(DBInstanceIdentifier=desk.names.database_instance)
        for it in page["DBSnapshots"]
    ]
