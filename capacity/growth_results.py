"""What simulated fleets come to, and what a year of growth needs: bursts, deaths, limits and the month's bill."""

import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from capacity import raw
from capacity.cost_results import read_inventories
from capacity.costs import Measured, Prices, standing, used
from capacity.inventory import Inventory
from capacity.numbers import spanish, table
from capacity.report import Scenario, Summary
from capacity.worker_results import rounded
from capacity.worker_results import summarise as summarise_workers
from stacks import connections

SIMULATED = "simulated.json.gz"
MONTHS = 12
FIRST_UPLOADS_A_DAY, LAST_UPLOADS_A_DAY = 1_000, 1_000_000
PEAK = 3.0  # the busiest minutes of a day against its mean
PLANNED_USE = 0.8  # of what workers can do at the peak
WEB_INSTANCES = 3
DAY_MINUTES, DAY_SECONDS = 24 * 60, 24 * 3600
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
S3_PUTS_A_SECOND, S3_GETS_A_SECOND = 3_500, 5_500
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
QUEUE_IN_FLIGHT = 120_000
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html: scales up to this
NAT_GBIT = 100
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
BALANCER_TARGETS = 1_000
LAB_INSTANCES, PROFILE_INSTANCES = 3, 99  # stacks.profiles
_UPLOAD_REQUESTS = 2  # of the API's: the reservation and the confirmation


def summarise(folder: Path) -> Summary:
    """Return it from the simulations, the workers' raw data beside them and the prices."""
    data = raw.read(folder / SIMULATED)
    prices = Prices.read(folder.parents[2] / "prices.toml")
    measured = Measured.of(summarise_workers(folder.parent / "worker"))
    node = 60 * data["processes"] / data["service_seconds"]
    inventory = read_inventories(folder.parent / "cost")["production"]
    return rounded(
        {
            "service_seconds": data["service_seconds"],
            "processes": data["processes"],
            "node_per_minute": node,
            "within_minutes": data["within_seconds"] / 60,
            "promised_burst": data["promised_burst"],
            "bursts": [burst(one, data, node) for one in data["bursts"]],
            "lived": data["lived"],
            "deaths": deaths(data["deaths"]),
            "faster_boot": data["faster_boot"],
            "year": [month(number, node, inventory, measured, prices) for number in range(MONTHS + 1)],
            "peak": PEAK,
            "planned_use": PLANNED_USE,
            "limits": list(limits(node, prices)),
        }
    )


def burst(one: Mapping[str, Any], data: Mapping[str, Any], node: float) -> dict[str, Any]:
    """Return the largest bursts of a size of fleet, beside what it could do if it worked throughout."""
    return {**one, "at_full_speed": one["instances"] * node * data["within_seconds"] / 60}


def deaths(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what instances that die cost: times from upload to clip, and instance hours."""

    def told(one: Mapping[str, Any]) -> dict[str, Any]:
        took = sorted(one["took_seconds"])
        return {
            "processed": len(took),
            "mean_seconds": statistics.fmean(took),
            "p95_seconds": took[math.ceil(0.95 * len(took)) - 1],
            "longest_seconds": took[-1],
            "instance_hours": one["instance_hours"],
        }

    without, with_ = told(data["without"]), told(data["with"])
    return {
        "hours": data["hours"],
        "load": data["load"],
        "videos": data["videos"],
        "without": without,
        "with": with_,
        "extra_mean_seconds": with_["mean_seconds"] - without["mean_seconds"],
        "extra_p95_seconds": with_["p95_seconds"] - without["p95_seconds"],
    }


def uploads_a_day(month: int) -> float:
    """Return how many uploads a day there are after so many months, each growing by the same factor."""
    growth: float = (LAST_UPLOADS_A_DAY / FIRST_UPLOADS_A_DAY) ** (month / MONTHS)
    return FIRST_UPLOADS_A_DAY * growth


def workers_for(uploads: float, node: float) -> int:
    """Return the instances that the peak of a day with so many uploads needs; `node` is videos a minute of one."""
    return max(1, math.ceil(uploads / DAY_MINUTES * PEAK / (PLANNED_USE * node)))


def month(number: int, node: float, inventory: Inventory, measured: Measured, prices: Prices) -> dict[str, Any]:
    """Return what a month needs and costs."""
    uploads = uploads_a_day(number)
    workers = workers_for(uploads, node)
    mean_workers = max(1.0, uploads / DAY_MINUTES / (PLANNED_USE * node))
    needed = connections.needed(web=WEB_INSTANCES, workers=workers, processes=2)
    videos = uploads * prices.hours_per_month / 24
    lines = list(used(inventory, videos, measured, prices, workers=mean_workers))
    groups = {
        group.stack: WEB_INSTANCES if group.stack.endswith("Web") else mean_workers for group in inventory.groups
    }
    fixed = list(standing(inventory, groups, prices))
    total = sum(line.usd for line in (*fixed, *lines))
    watched = next(line.usd for line in lines if line.what == "clips watched")
    return {
        "month": number,
        "uploads_a_day": uploads,
        "peak_a_minute": uploads / DAY_MINUTES * PEAK,
        "workers": workers,
        "connections": needed,
        "database_class": connections.smallest_class(needed) or "RDS Proxy o Aurora",
        "puts_a_second": uploads / DAY_SECONDS * PEAK * prices.usage["puts_per_video"],
        "terabytes_a_month": videos * (prices.usage["source_megabytes"] + measured.output_megabytes) / 1e6,
        "usd_a_month": total,
        "usd_watched": watched,
        "usd_per_thousand_without_views": 1000 * (total - watched) / videos,
    }


def limits(node: float, prices: Prices) -> Iterator[dict[str, Any]]:
    """Yield for each part the uploads a day at which it has to change, and what it becomes."""
    for part, workers, becomes in (
        ("Flota del laboratorio (3 workers)", LAB_INSTANCES, "perfil production, hasta 99 instancias"),
        ("Flota de un grupo (99 workers)", PROFILE_INSTANCES, "varios grupos, AWS Batch o ECS sobre spot"),
    ):
        yield _limit(part, f"{workers} instancias", workers_uploads(workers, node), becomes)
    for class_ in (connections.OFFERED[0], connections.OFFERED[-1]):
        workers = most_workers(class_)
        becomes = connections.OFFERED[1] if class_ == connections.OFFERED[0] else "RDS Proxy o Aurora"
        yield _limit(
            f"RDS {class_}", f"{connections.given(class_)} conexiones", workers_uploads(workers, node), becomes
        )
    each = PEAK / DAY_SECONDS
    puts, gets = prices.usage["puts_per_video"], prices.usage["views_per_video"]
    yield _limit(
        "Prefijo de S3, escrituras",
        f"{spanish(S3_PUTS_A_SECOND)} por segundo",
        S3_PUTS_A_SECOND / puts / each,
        "claves repartidas en más prefijos",
    )
    yield _limit(
        "Prefijo de S3, lecturas",
        f"{spanish(S3_GETS_A_SECOND)} por segundo",
        S3_GETS_A_SECOND / gets / each,
        "CloudFront delante (en production ya está)",
    )
    yield _limit(
        "SQS, mensajes en vuelo",
        f"{spanish(QUEUE_IN_FLIGHT)} mensajes",
        workers_uploads(QUEUE_IN_FLIGHT // 2, node),
        "varias colas",
    )
    bits = prices.usage["source_megabytes"] * 8e6
    yield _limit(
        "NAT, si los originales pasaran por él",
        f"{NAT_GBIT} Gbit/s",
        NAT_GBIT * 1e9 / bits / each,
        "punto de enlace de S3 (ya está): solo la cola y los registros usan NAT",
    )
    yield _limit(
        "Balanceador, destinos",
        f"{spanish(BALANCER_TARGETS)} destinos",
        None,
        "no llega a ser el límite con subida directa",
    )


def _limit(part: str, limit: str, uploads: float | None, becomes: str) -> dict[str, Any]:
    return {"part": part, "limit": limit, "uploads_a_day": uploads, "becomes": becomes}


def workers_uploads(workers: int, node: float) -> float:
    """Return the uploads a day that so many instances keep up with at the peak."""
    return workers * PLANNED_USE * node * DAY_MINUTES / PEAK


def most_workers(class_: str) -> int:
    """Return the most instances that a database class has connections for."""
    workers = 0
    while connections.needed(web=WEB_INSTANCES, workers=workers + 1, processes=2) <= connections.given(class_):
        workers += 1
    return workers


# --- what people read -------------------------------------------------------------------------------------


def tables(summary: Summary) -> dict[str, str]:
    """Return the tables of the results document."""
    bursts = [
        [
            one["instances"],
            spanish(one["all_there"]),
            spanish(one["scaled_from_one"]),
            spanish(one["at_full_speed"], ".0f"),
        ]
        for one in summary["bursts"]
    ]
    year = [
        [
            it["month"],
            spanish(it["uploads_a_day"], ".0f"),
            spanish(it["peak_a_minute"], ".1f"),
            spanish(it["workers"]),
            spanish(it["connections"]),
            it["database_class"],
            spanish(it["puts_a_second"], ".1f"),
            spanish(it["usd_a_month"], ".0f"),
            spanish(it["usd_per_thousand_without_views"], ".2f"),
        ]
        for it in summary["year"]
    ]
    return {
        "bursts": table(
            ["Instancias", "Ráfaga con todas encendidas", "Ráfaga desde una, escalando", "Techo sin esperas"], bursts
        ),
        "deaths": table(["", "Sin muertes", "Una muerte por hora"], _death_rows(summary["deaths"])),
        "year": table(
            [
                *("Mes", "Subidas/día", "Pico por minuto", "Workers", "Conexiones", "Clase de RDS", "PUT/s a S3"),
                *("USD al mes, con vistas", "USD por 1.000 videos, sin vistas"),
            ],
            year,
        ),
        "limits": table(
            ["Parte", "Límite", "Subidas/día en que se alcanza", "En qué se convierte"],
            [
                [it["part"], it["limit"], spanish(it["uploads_a_day"], ".0f"), it["becomes"]]
                for it in summary["limits"]
            ],
        ),
    }


def _death_rows(deaths: Mapping[str, Any]) -> list[list[object]]:
    names = {
        "processed": "Videos procesados",
        "mean_seconds": "Tiempo medio hasta el resultado, s",
        "p95_seconds": "p95 hasta el resultado, s",
        "longest_seconds": "El más lento, s",
        "instance_hours": "Horas de instancia",
    }
    shown = {"processed": "d"}
    return [
        [text, *(spanish(deaths[side][key], shown.get(key, ".1f")) for side in ("without", "with"))]
        for key, text in names.items()
    ]


def figures(summary: Summary) -> dict[str, Figure]:
    """Return the figures of the results document."""
    return {"fleet": _fleet_figure(summary), "bursts": _burst_figure(summary)}


def _fleet_figure(summary: Summary) -> Figure:
    figure = Figure(figsize=(10, 6), layout="constrained")
    queue, fleet = figure.subplots(2, 1, sharex=True)
    for most, points in summary["lived"].items():
        minutes = [point[0] for point in points]
        queue.plot(minutes, [point[1] + point[2] for point in points], label=f"hasta {most}")
        fleet.step(minutes, [point[3] for point in points], where="post", label=f"hasta {most}")
    queue.set_ylabel("videos en cola o en proceso")
    fleet.set_ylabel("workers en servicio")
    fleet.set_xlabel(f"minutos desde una ráfaga de {summary['promised_burst']} videos (simulado)")
    _target(queue, summary["within_minutes"], "objetivo: todo listo")
    _target(fleet, summary["within_minutes"], "")
    queue.legend(title="instancias")
    for axes in (queue, fleet):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    return figure


def _target(axes: Axes, minutes: float, label: str) -> None:
    axes.axvline(minutes, color="grey", linestyle="--", label=label or None)


def _burst_figure(summary: Summary) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    instances = [one["instances"] for one in summary["bursts"]]
    for key, label, style in (
        ("all_there", "todas encendidas", "o-"),
        ("scaled_from_one", "desde una, escalando", "s-"),
        ("at_full_speed", "techo sin esperas", ":"),
    ):
        axes.plot(instances, [one[key] for one in summary["bursts"]], style, label=label)
    axes.axhline(
        summary["promised_burst"], color="grey", linestyle="--", label=f"objetivo: {summary['promised_burst']} videos"
    )
    axes.set(xscale="log", yscale="log", xlabel="workers (instancias)")
    axes.set_ylabel("mayor ráfaga lista en 10 minutos (videos)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    return figure


GROWTH = Scenario(name="growth", summarise=summarise, tables=tables, figures=figures)
