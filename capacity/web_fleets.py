"""Fleets of one to three web servers on the twin's simulated clock, with the CPU that an upload was seen to take."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.report import CannotMeasure
from capacity import raw
from capacity.numbers import spanish, table
from capacity.report import Folder, Scenario, Summary
from stacks.profiles import ACADEMY
from stacks.rules.assembly import Assembly
from twin.groups import Size
from twin.simulated import compose_servers
from twin.templates import Fleet, fleets

TEMPLATES = Path(__file__).resolve().parents[1] / "build" / "cdk" / "academy"
SIMULATED = "simulated.json.gz"
REQUESTS_PER_UPLOAD = {"multipart10": 1, "direct50": 2}
"""Of the API, by the series that is simulated."""
SIZES: Mapping[str, Size | None] = {"1": Size(1, 1), "2": Size(1, 2), "3": Size(1, 3), "deployed": None}
MINUTE, HOUR = 60, 3600
BURST_AT = 15 * MINUTE
CALM, PEAK = 0.3, 0.8
"""Of what one node, and of what the largest fleet, can do at most."""


def simulate(web: Summary, folder: Folder) -> None:
    """Simulate a burst over each fleet with what was measured, and keep the raw data; raises CannotMeasure."""
    if not TEMPLATES.is_dir():
        raise CannotMeasure(f"there are no templates in {TEMPLATES}: run make synth first")
    fleet = fleets(Assembly.read_folder(TEMPLATES, region=ACADEMY.region))["AnbWeb"]
    data = {}
    for key, requests in REQUESTS_PER_UPLOAD.items():
        cpu_seconds = ((web["series"][key] or {}).get("node") or {}).get("cpu_seconds_per_upload")
        if not cpu_seconds:
            raise CannotMeasure(f"what an upload of {key} takes was not measured: run make capacity-web first")
        data[key] = {
            "title": web["series"][key]["title"],
            "cpu_seconds_per_upload": cpu_seconds,
            "requests_per_upload": requests,
            "fleets": {name: _lived(_sized(fleet, size), cpu_seconds, requests) for name, size in SIZES.items()},
        }
    raw.write(folder.raw("fleets") / SIMULATED, data)


def _sized(fleet: Fleet, size: Size | None) -> Fleet:
    return replace(fleet, size=size) if size else fleet


def _lived(fleet: Fleet, cpu_seconds: float, requests: int) -> dict[str, Any]:
    """Return each minute of a burst that begins after a quarter of an hour and stays for an hour."""
    node = fleet.processors / cpu_seconds  # uploads a second with all of its CPU
    calm, peak = CALM * node, PEAK * node * fleet.size.most

    def rate(at: float) -> float:
        return (peak if BURST_AT <= at < BURST_AT + HOUR else calm) * requests

    loop, running, servers = compose_servers(fleet, rate=rate, cpu_seconds=cpu_seconds / requests)
    counted: list[tuple[float, float]] = []
    loop.call_every(MINUTE, lambda: counted.append((servers.asked, servers.failed)), first=MINUTE)
    loop.run(BURST_AT + 2 * HOUR)
    minutes = [[round(one.at_seconds), sum(one.in_service.values()), one.desired] for one in running.record.samples]
    return {
        "least": fleet.size.least,
        "most": fleet.size.most,
        "peak_uploads_per_second": peak,
        "minutes": minutes,
        "asked_and_failed": [[round(asked, 3), round(failed, 3)] for asked, failed in counted],
    }


def summarise(folder: Path) -> Summary:
    """Return the summary of the simulations."""
    data = raw.read(folder / SIMULATED)
    return {
        key: {
            "title": found["title"],
            "cpu_seconds_per_upload": found["cpu_seconds_per_upload"],
            "fleets": {name: _summary(one) for name, one in found["fleets"].items()},
        }
        for key, found in data.items()
    }


def _summary(lived: Mapping[str, Any]) -> dict[str, Any]:
    full = next((at for at, serving, _ in lived["minutes"] if at >= BURST_AT and serving >= lived["most"]), None)
    since = lived["asked_and_failed"][BURST_AT // MINUTE - 1 :]  # until then the first nodes have started
    asked, failed = (last - first for first, last in zip(since[0], since[-1], strict=True))
    failing = sum(later[1] > earlier[1] for earlier, later in itertools.pairwise(since))
    return {
        "least": lived["least"],
        "most": lived["most"],
        "peak_uploads_per_second": round(lived["peak_uploads_per_second"], 1),
        "full_after_minutes": None if full is None else round((full - BURST_AT) / MINUTE),
        "failed_share": round(failed / asked, 4),
        "failing_minutes": failing,
        "mean_fleet": round(sum(serving for _, serving, _ in lived["minutes"]) / len(lived["minutes"]), 2),
        "serving": [serving for _, serving, _ in lived["minutes"]],
    }


def tables(summary: Summary) -> Mapping[str, str]:
    """Return what each fleet made of the burst."""
    headings = ["recorrido y flota", "subidas/s en la ráfaga", "flota completa tras (min)"]
    headings += ["minutos con rechazos", "rechazadas", "nodos en promedio"]
    rows: list[list[object]] = [
        [
            f"{found['title']}: {_name(name, one)}",
            spanish(one["peak_uploads_per_second"], ".1f"),
            one["full_after_minutes"],
            one["failing_minutes"],
            spanish(one["failed_share"], ".1%"),
            one["mean_fleet"],
        ]
        for found in summary.values()
        for name, one in found["fleets"].items()
    ]
    return {"bursts": table(headings, rows)}


def _name(name: str, fleet: Mapping[str, Any]) -> str:
    span = f"de {fleet['least']} a {fleet['most']} nodos" if fleet["least"] < fleet["most"] else "1 nodo"
    return f"{span} (la desplegada)" if name == "deployed" else span


def figures(summary: Summary) -> Mapping[str, Figure]:
    """Draw the fleets over time."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots(1, len(summary), sharey=True, squeeze=False)[0]
    for one, found in zip(axes, summary.values(), strict=True):
        for name, fleet in found["fleets"].items():
            one.step(range(len(fleet["serving"])), fleet["serving"], where="post", label=_name(name, fleet))
        one.axvspan(BURST_AT / MINUTE, (BURST_AT + HOUR) / MINUTE, color="grey", alpha=0.15)
        one.set_title(found["title"])
        one.set_xlabel("minutos (gris: la ráfaga)")
        one.grid(alpha=0.3)
    axes[0].set_ylabel("nodos en servicio")
    axes[0].set_yticks(range(4))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return {"bursts": figure}


FLEETS = Scenario(name="fleets", summarise=summarise, tables=tables, figures=figures)
