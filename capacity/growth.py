"""Fleets of workers on the twin's simulated clock, with the service time that was measured of one machine."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from anb import commands
from bench.report import CannotMeasure
from capacity import raw
from capacity.cost_results import INVENTORIES
from capacity.growth_results import SIMULATED
from capacity.inventory import Inventory
from capacity.report import Folder
from capacity.worker_plan import LARGEST_BURST, WITHIN_SECONDS
from capacity.worker_results import summarise
from stacks.profiles import PROFILES
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions
from twin.groups import Size
from twin.simulated import run_workers
from twin.templates import Fleet, fleets

TEMPLATES = Path(__file__).resolve().parents[1] / "build" / "cdk"
FLEETS = (1, 2, 3, 10, 50, 500)
SEEDS = (1, 2, 3)
MANY = 50  # from so many instances on, one seed says as much as three
REST_SECONDS = 1800  # until a fleet that has just begun is at rest
HOUR = 3600
DEATH_HOURS = 12
DEATH_LOAD = 0.5  # of what the largest fleet can do


def done_within(fleet: Fleet, videos: int, assumptions: Assumptions, *, seed: int) -> int:
    """Return how many videos of a burst are processed in time by a fleet that was at rest."""
    _, workers = run_workers(
        fleet,
        arrivals=[float(REST_SECONDS)] * videos,
        seconds=REST_SECONDS + WITHIN_SECONDS + 1,
        assumptions=assumptions,
        seed=seed,
    )
    return sum(took <= WITHIN_SECONDS for _, took in workers.took_seconds)


def largest_burst(fleet: Fleet, assumptions: Assumptions, *, seeds: Sequence[int]) -> int:
    """Return the most videos at once of which every one is processed in time, with each seed.

    That more videos are never sooner done is taken for granted; the search ends within a hundredth.
    """
    fits, too_many = 0, bound(fleet, assumptions) + 1
    while too_many - fits > max(1, fits // 100):
        tried = (fits + too_many) // 2
        if all(done_within(fleet, tried, assumptions, seed=seed) == tried for seed in seeds):
            fits = tried
        else:
            too_many = tried
    return fits


def bound(fleet: Fleet, assumptions: Assumptions) -> int:
    """Return more videos than all of the largest fleet's processes can do in time, if they worked throughout."""
    return 2 * int(fleet.size.most * fleet.processors * WITHIN_SECONDS / assumptions.job) + 2


def lived(fleet: Fleet, assumptions: Assumptions) -> list[list[float]]:
    """Return the minutes since a burst of LARGEST_BURST, what waits, what is worked on, and the instances."""
    running, _ = run_workers(
        fleet,
        arrivals=[float(REST_SECONDS)] * LARGEST_BURST,
        seconds=REST_SECONDS + 2 * HOUR,
        assumptions=assumptions,
    )
    return [
        [(it.at_seconds - REST_SECONDS) / 60, it.visible, it.in_flight, sum(it.in_service.values())]
        for it in running.record.samples
        if -300 <= it.at_seconds - REST_SECONDS <= HOUR
    ]


def deaths(fleet: Fleet, assumptions: Assumptions) -> dict[str, Any]:
    """Return what half a load for hours comes to, without and with an instance that dies every hour."""
    draw = random.Random(1)  # noqa: S311 a draw that can be repeated
    rate = DEATH_LOAD * fleet.size.most * fleet.processors / assumptions.job
    arrivals, now = [], 0.0
    while (now := now + draw.expovariate(rate)) < DEATH_HOURS * HOUR:
        arrivals.append(now)
    found: dict[str, Any] = {"hours": DEATH_HOURS, "load": DEATH_LOAD, "videos": len(arrivals)}
    for name, every in (("without", float("inf")), ("with", float(HOUR))):
        _, workers = run_workers(
            fleet,
            arrivals=arrivals,
            seconds=(DEATH_HOURS + 1) * HOUR,
            assumptions=assumptions,
            failures_every_seconds=every,
        )
        found[name] = {
            "took_seconds": [round(took, 1) for _, took in workers.took_seconds],
            "instance_hours": workers.spent_instance_seconds() / HOUR,
        }
    return found


def simulate(service_seconds: float) -> dict[str, Any]:
    """Return the raw data of all simulations with jobs that take so long; raises CannotMeasure without templates."""
    fleet = fleets(_assembly("academy"))["AnbWorker"]
    assumptions = replace(Assumptions(), job=service_seconds)
    return {
        "service_seconds": service_seconds,
        "processes": fleet.processors,
        "within_seconds": WITHIN_SECONDS,
        "promised_burst": LARGEST_BURST,
        "assumptions": asdict(assumptions),
        "bursts": [_bursts(fleet, most, assumptions) for most in FLEETS],
        "lived": {str(most): lived(_sized(fleet, 1, most), assumptions) for most in (1, 2, 3)},
        "deaths": deaths(_sized(fleet, 3, 3), assumptions),
        "faster_boot": faster_boot(_sized(fleet, 1, 3), assumptions),
    }


def faster_boot(fleet: Fleet, assumptions: Assumptions) -> dict[str, Any]:
    """Return the largest burst of a fleet whose instances boot in half the time."""
    halved = replace(assumptions, boot=assumptions.boot / 2)
    return {"boot_seconds": halved.boot, "burst": largest_burst(fleet, halved, seeds=SEEDS)}


def _bursts(fleet: Fleet, most: int, assumptions: Assumptions) -> dict[str, Any]:
    seeds = SEEDS if most < MANY else SEEDS[:1]
    found = {
        name: largest_burst(_sized(fleet, least, most), assumptions, seeds=seeds)
        for name, least in (("all_there", most), ("scaled_from_one", 1))
    }
    click.echo(f"{most} instances: {found}", err=True)
    return {"instances": most, **found}


def _sized(fleet: Fleet, least: int, most: int) -> Fleet:
    return replace(fleet, size=Size(least, most))


def _assembly(profile: str) -> Assembly:
    folder = TEMPLATES / profile
    if not folder.is_dir():
        raise CannotMeasure(f"there are no templates of {profile}: run make synth first")
    return Assembly.read_folder(folder, region=PROFILES[profile].region)


def measured_service_seconds(workers: Mapping[str, Any], *, processes: int) -> float:
    """Return a saturated machine's mean time for a video, over the sizes, with so many processes."""
    cells = [cell for cell in workers["cells"].values() if cell["processes"] == processes]
    if not cells:
        raise CannotMeasure(f"no cell with {processes} processes was measured: run make capacity-worker first")
    return float(sum(cell["saturation"]["service_seconds"] for cell in cells) / len(cells))


@click.command("growth", help=__doc__)
def command() -> int:
    """Simulate again with what was measured last."""
    folder = Folder()
    service_seconds = measured_service_seconds(summarise(folder.raw("worker")), processes=2)
    inventories = {profile: asdict(Inventory.of(_assembly(profile))) for profile in PROFILES}
    raw.write(folder.raw("cost") / INVENTORIES, inventories)
    raw.write(folder.raw("growth") / SIMULATED, simulate(service_seconds))
    return commands.DONE
