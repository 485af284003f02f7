"""Say what the system costs a month, by public prices: as it would be deployed, or as it is.

A plan is read from the templates of `make synth`, with the fleets at their least and at their most. What is deployed
is read from the account, with the instances that there are now.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from anb import commands
from capacity.costs import Line, Measured, Prices, UnknownPrice, options, standing, used
from capacity.inventory import Inventory
from ops.account.bill import Bill
from ops.account.desk import Desk
from ops.dependencies import CommandFailed
from ops.table import table
from stacks.profiles import PROFILES
from stacks.rules.assembly import Assembly

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "build" / "cdk"
Fleets = Mapping[str, Mapping[str, float]]
"""Instances by stack, under what to call it."""
RESULTS = ROOT / "capacity-planning" / "results" / "worker.json"


@click.command("cost", help=__doc__)
@click.option("--profile", type=click.Choice(list(PROFILES)), default="academy", help="Of the plan.")
@click.option("--deployed", is_flag=True, help="What is in the account instead of a plan.")
@click.option("--videos", type=click.IntRange(min=0), default=0, help="How many are processed in a month.")
@commands.json_option
@click.pass_obj
def command(desk: Desk, *, profile: str, deployed: bool, videos: int, as_json: bool) -> int:
    """Print the lines of a month's bill."""
    try:
        inventory, fleets = _of_the_account(desk) if deployed else _of_the_plan(profile)
        report = _report(inventory, fleets, videos, Prices.read())
    except UnknownPrice as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        commands.print_json(report)
    else:
        print("\n\n".join(_shown(report)))
    return commands.DONE


def _of_the_account(desk: Desk) -> tuple[Inventory, Fleets]:
    bill = Bill(desk.account, desk.names)
    return bill.inventory, {"now": bill.running}


def _of_the_plan(profile: str) -> tuple[Inventory, Fleets]:
    inventory = Inventory.of(_planned(profile))
    return inventory, _sizes(inventory)


def _planned(profile: str) -> Assembly:
    folder = TEMPLATES / profile
    if not folder.is_dir():
        raise CommandFailed(f"there are no templates of {profile}: run make synth first")
    return Assembly.read_folder(folder, region=PROFILES[profile].region)


def _sizes(inventory: Inventory) -> dict[str, dict[str, float]]:
    """Return the fewest and the most instances of each stack's fleet, by what to call it."""
    return {
        "at least": {group.stack: group.least for group in inventory.groups},
        "at most": {group.stack: group.most for group in inventory.groups},
    }


def _report(inventory: Inventory, fleets: Fleets, videos: int, prices: Prices) -> dict[str, Any]:
    measured = _measured()
    bills = {}
    for name, instances in fleets.items():
        lines = list(standing(inventory, instances, prices))
        if videos and measured:
            workers = next(count for stack, count in instances.items() if stack.endswith("Worker"))
            lines += used(inventory, videos, measured, prices, workers=workers)
        bills[name] = {"lines": [asdict(line) for line in lines], "usd_a_month": _total(lines)}
        if videos and measured:
            bills[name]["usd_per_thousand_videos"] = 1000 * _total(lines) / videos
    return {
        "region": prices.region,
        "prices_of": max(source["date"] for source in prices.sources.values()).isoformat(),
        "bills": bills,
        "processing_usd_per_thousand_videos": (
            {option.name: option.usd_per_thousand for option in options(measured, prices)} if measured else {}
        ),
    }


def _measured() -> Measured | None:
    """Return what was measured of a worker, or None before it has been."""
    if not RESULTS.exists():
        return None
    return Measured.of(json.loads(RESULTS.read_text())["summary"])


def _total(lines: Sequence[Line]) -> float:
    return sum(line.usd for line in lines)


def _shown(report: Mapping[str, Any]) -> list[str]:
    bills = report["bills"]
    names = list(bills)
    rows = [
        (first["what"], *(f"{bills[name]['lines'][place]['usd']:.2f}" for name in names))
        for place, first in enumerate(bills[names[0]]["lines"])
    ]
    rows.append(("together", *(f"{bills[name]['usd_a_month']:.2f}" for name in names)))
    if "usd_per_thousand_videos" in bills[names[0]]:
        rows.append(("per 1,000 videos", *(f"{bills[name]['usd_per_thousand_videos']:.2f}" for name in names)))
    shown = [
        f"US dollars a month in {report['region']}, prices of {report['prices_of']} and before",
        table(("what", *names), rows),
    ]
    if each := report["processing_usd_per_thousand_videos"]:
        costs = [(name, f"{usd:.2f}") for name, usd in each.items()]
        shown.append(table(("processing of 1,000 videos", "USD"), costs))
    return shown
