"""What the system costs, told: each profile and fleet by the month, and a thousand videos in each way."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from capacity import raw
from capacity.costs import Measured, Prices, options, standing, used, videos_per_hour
from capacity.credits import TYPES, CreditAccount, break_even, hourly_price
from capacity.inventory import Database, Group, Inventory
from capacity.numbers import spanish, table
from capacity.report import Scenario, Summary
from capacity.worker_results import rounded
from capacity.worker_results import summarise as summarise_workers
from stacks import connections

INVENTORIES = "inventories.json.gz"
FLEETS = {"academy": (1, 2, 3), "production": (1, 2, 3, 10, 50)}
BURST_HOURS = 0.25  # how long an instance that scaling adds for a burst works at full speed before it ends
DEPLOYED, OTHER, SPOT = "t3.small", "c7i-flex.large", "c7g.large spot"


def read_inventories(folder: Path) -> dict[str, Inventory]:
    """Return what each profile has, from raw data."""
    return {profile: _inventory(found) for profile, found in raw.read(folder / INVENTORIES).items()}


def _inventory(found: Mapping[str, Any]) -> Inventory:
    database = found["database"]
    groups, single = (tuple(Group(**group) for group in found.get(name, ())) for name in ("groups", "single"))
    made = {"groups": groups, "single": single, "database": Database(**database) if database else None}
    return Inventory(**{**found, **made})


def summarise(folder: Path) -> Summary:
    """Return it from the templates' inventories, the workers' raw data beside them and the prices."""
    prices = Prices.read(folder.parents[2] / "prices.toml")
    measured = Measured.of(summarise_workers(folder.parent / "worker"))
    inventories, ways = read_inventories(folder), options(measured, prices)
    return rounded(
        {
            "prices_of": max(source["date"] for source in prices.sources.values()).isoformat(),
            "measured": asdict(measured),
            "options": [asdict(option) for option in ways],
            "changes": _changes({option.name: option.usd_per_thousand for option in ways}, measured, prices),
            "fleets": [
                _fleet(profile, inventory, workers, measured, prices)
                for profile, inventory in inventories.items()
                for workers in FLEETS[profile]
            ],
            "standing": {profile: _standing(inventory, prices) for profile, inventory in inventories.items()},
            "credits": _credits(prices),
            "speed": prices.assumptions["speed"],
            "spot_share": prices.assumptions["spot_share"],
            "usage": prices.usage,
        }
    )


def _changes(usd: Mapping[str, float], measured: Measured, prices: Prices) -> dict[str, float]:
    """Return what other instances would bring: times the videos of a node, and shares of today's cost."""
    today = usd[f"{DEPLOYED} unlimited"]
    faster, slower = (videos_per_hour(type_, measured, prices) for type_ in (OTHER, DEPLOYED))
    return {
        "faster_node": faster / slower,
        "faster_node_cost": usd[OTHER] / today,
        "spot_cost": usd[SPOT] / today,
    }


def _fleet(profile: str, inventory: Inventory, workers: int, measured: Measured, prices: Prices) -> dict[str, Any]:
    """Return a month of so many workers that never rest, with the database that their connections need."""
    sized = _with_database_for(inventory, workers)
    counts = {group.stack: workers if group.stack.endswith("Worker") else group.least for group in sized.groups}
    worker = next(group for group in sized.groups if group.stack.endswith("Worker"))
    videos = workers * prices.hours_per_month * videos_per_hour(worker.instance_type, measured, prices)
    lines = [*standing(sized, counts, prices), *used(sized, videos, measured, prices, workers=workers)]
    watched = sum(line.usd for line in lines if line.what == "clips watched")
    total = sum(line.usd for line in lines)
    return {
        "profile": profile,
        "workers": workers,
        "database_class": sized.database.instance_class if sized.database else None,
        "videos": videos,
        "usd_a_month": total - watched,
        "usd_watched": watched,
        "usd_per_thousand": 1000 * (total - watched) / videos,
    }


def _with_database_for(inventory: Inventory, workers: int) -> Inventory:
    web = next(group.most for group in inventory.groups if group.stack.endswith("Web"))
    needed = connections.needed(web=web, workers=workers, processes=2)
    database = inventory.database
    if database is None or needed <= connections.given(database.instance_class):
        return inventory
    larger = connections.smallest_class(needed) or database.instance_class
    return replace(inventory, database=replace(database, instance_class=larger))


def _standing(inventory: Inventory, prices: Prices) -> dict[str, Any]:
    """Return what a month costs with nothing to do, with the fewest and the most instances."""
    sides = {
        name: list(standing(inventory, {group.stack: getattr(group, name) for group in inventory.groups}, prices))
        for name in ("least", "most")
    }
    return {name: sum(line.usd for line in lines) for name, lines in sides.items()} | {
        "lines": {line.what: line.usd for line in sides["least"]}
    }


def _credits(prices: Prices) -> dict[str, Any]:
    """Return what an unlimited worker pays for its CPU, and from which use on another type is cheaper."""
    type_, surplus = TYPES[DEPLOYED], prices.units["surplus_vcpu_hour"]
    hour = prices.instance_hour(DEPLOYED)
    burst = CreditAccount(type_)
    burst.run(hours=BURST_HOURS, utilisation=1)
    burst.end()
    return {
        "baseline": type_.baseline,
        "earned_an_hour": type_.credits_per_hour,
        "most": type_.most_credits,
        "usd_hour": hour,
        "usd_hour_at_full_speed": hourly_price(type_, hour=hour, utilisation=1, surplus_vcpu_hour=surplus),
        "break_even": break_even(type_, hour=hour, other_hour=prices.instance_hour(OTHER), surplus_vcpu_hour=surplus),
        "burst_minutes": 60 * BURST_HOURS,
        "burst_credits": burst.charged,
        "burst_usd": burst.charged_vcpu_hours * surplus,
    }


# --- what people read -------------------------------------------------------------------------------------


def tables(summary: Summary) -> dict[str, str]:
    """Return the tables of the results document."""
    return {
        "options": table(
            ["Opción", "USD por hora", "Videos por hora", "USD por 1.000 videos"],
            [
                [
                    one["name"],
                    _or_dash(one["usd_per_hour"], ".4f"),
                    _or_dash(one["videos_per_hour"], ".0f"),
                    spanish(one["usd_per_thousand"], ".2f"),
                ]
                for one in summary["options"]
            ],
        ),
        "fleets": table(
            [
                "Perfil y workers a plena carga",
                "RDS",
                "Videos al mes",
                "USD al mes",
                "USD por 1.000 videos",
                "USD de vistas",
            ],
            [
                [
                    f"{one['profile']}, {one['workers']}",
                    one["database_class"],
                    spanish(one["videos"], ".0f"),
                    spanish(one["usd_a_month"], ".0f"),
                    spanish(one["usd_per_thousand"], ".2f"),
                    spanish(one["usd_watched"], ".0f"),
                ]
                for one in summary["fleets"]
            ],
        ),
        "standing": table(
            ["Perfil en reposo", "USD al mes, flota mínima", "USD al mes, flota máxima"],
            [
                [profile, spanish(one["least"], ".1f"), spanish(one["most"], ".1f")]
                for profile, one in summary["standing"].items()
            ],
        ),
        "assumptions": table(["Supuesto", "Valor"], list(_assumptions(summary))),
    }


def _or_dash(value: float | None, specification: str) -> str:
    return "—" if value is None else spanish(value, specification)


def _assumptions(summary: Summary) -> Iterator[list[object]]:
    for name, speed in summary["speed"].items():
        yield [f"Velocidad de dos vCPU de `{name}` frente a la máquina de prueba", spanish(speed, ".2f")]
    yield ["Precio spot frente al de demanda", spanish(summary["spot_share"], ".2f")]
    names = {
        "source_megabytes": "MB de un original",
        "source_days": "Días de un original en S3 Standard",
        "views_per_video": "Vistas por video",
        "log_kilobytes_per_video": "kB de registros por video",
        "puts_per_video": "Escrituras en S3 por video",
        "gets_per_video": "Lecturas de S3 por video",
        "queue_requests_per_video": "Solicitudes a la cola por video",
    }
    for key, text in names.items():
        yield [text, spanish(summary["usage"][key])]


def figures(summary: Summary) -> dict[str, Figure]:
    """Return the figures of the results document."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    shown = [one for one in summary["options"] if one["usd_per_hour"] is not None]
    bars = axes.barh([one["name"] for one in shown], [one["usd_per_thousand"] for one in shown])
    axes.bar_label(bars, labels=[spanish(one["usd_per_thousand"], ".2f") for one in shown], padding=3)
    today = next(one for one in shown if one["name"] == f"{DEPLOYED} unlimited")
    axes.axvline(today["usd_per_thousand"], color="grey", linestyle="--", label="lo desplegado")
    managed = next(one for one in summary["options"] if one["usd_per_hour"] is None)
    beyond = f"MediaConvert: {spanish(managed['usd_per_thousand'], '.2f')}, fuera de escala"
    axes.set_xlabel(f"USD por 1.000 videos procesados ({beyond})")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.legend()
    axes.grid(axis="x", alpha=0.3)
    return {"per-thousand": figure}


COST = Scenario(name="cost", summarise=summarise, tables=tables, figures=figures)
