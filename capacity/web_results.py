"""What scenario 1 came to: the summary of its raw data, and how the documents show it."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from capacity import raw
from capacity.criteria import (
    MAX_ERROR_SHARE,
    MAX_P95_SECONDS,
    Sample,
    by_name,
    first_degraded,
    observe,
    percentile,
)
from capacity.numbers import spanish, table
from capacity.report import UNMEASURED, Scenario, Summary
from capacity.web import held, samples_of
from capacity.web_plan import SERIES, Series

NODE_CORES = 2
"""vCPU of an instance of the web fleet: t3.small."""
NODE_PARTS = ("nginx", "gunicorn")
"""What runs on it; database and store are services of their own."""
TARGET_USE = 0.7
"""How much of a node a plan may use: what is left absorbs bursts until the fleet has grown."""
FORM_TITLES = {"full": "completa", "medium": "media", "short": "corta"}
PARTS = ("nginx", "gunicorn", "mariadb", "emulador", "sumidero", "locust", "medición")
USER_TICKS = (5, 10, 20, 50, 100, 200, 500, 1000)
SECOND_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
COMPLETED = ("POST /api/videos/upload", "POST /api/videos/uploads/{id}/complete")


def summarise(folder: Path) -> Summary:
    """Return the summary of a folder of raw data."""
    stages = [raw.read(path) for path in sorted(folder.glob("*.json.gz"))]
    series = {
        one.key: _series(one, [data for data in stages if data["stage"]["series"] == one.key]) for one in SERIES
    }
    return {
        "machine": stages[0]["machine"],
        "form": stages[0]["stage"]["form"],
        "form_title": FORM_TITLES[stages[0]["stage"]["form"]],
        "measured_on": min(data["measured_at"] for data in stages)[:10],
        "seconds": round(sum(data["stage"]["ramp_seconds"] + data["stage"]["hold_seconds"] for data in stages)),
        "stages": len(stages),
        "target_use": TARGET_USE,
        "series": series,
        "gains": _gains(_measured(series)),
        "checked_gains": _checked_gains(_measured(series)),
    }


def _gains(series: Mapping[str, Any]) -> dict[str, float | None]:
    """Return how many times the uploads of a node the direct way brings, by the CPU that its parts used: derived."""
    return {size: _gain(series, f"multipart{size}", f"direct{size}") for size in ("50", "100")}


def _gain(series: Mapping[str, Any], through_the_api: str, direct: str) -> float | None:
    used = [series.get(key, {}).get("node", {}).get("cpu_seconds_per_upload") for key in (through_the_api, direct)]
    return round(used[0] / used[1], 1) if all(used) else None


def _checked_gains(series: Mapping[str, Any]) -> dict[str, Mapping[str, float] | None]:
    """Return how many times the uploads the direct way should bring here by all parts' CPU, and what it brought."""
    return {size: _checked_gain(series, f"multipart{size}", f"direct{size}") for size in ("50", "100")}


def _checked_gain(series: Mapping[str, Any], through_the_api: str, direct: str) -> dict[str, float] | None:
    found = [series.get(key, {}) for key in (direct, through_the_api)]
    if not all(one.get("ceiling_per_second") and one["max_uploads_per_second"] for one in found):
        return None
    return {
        name: round(found[0][key] / found[1][key], 1)
        for name, key in (("predicted", "ceiling_per_second"), ("measured", "max_uploads_per_second"))
    }


def _measured(series: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: found for key, found in series.items() if found}


def _series(series: Series, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what a series came to; nothing where it was not run."""
    kinds: dict[str, list[dict[str, Any]]] = {"smoke": [], "ramp": [], "sustained": []}
    for data in stages:
        kinds[data["stage"]["kind"]].append(_stage(data))
    ramps = sorted(kinds["ramp"], key=lambda one: one["users"])
    if not ramps:
        return None
    passed = [one for one in ramps if one["holds"]]
    broke = next((one for one in ramps if not one["holds"]), None)
    best = passed[-1] if passed else None
    return {
        "title": series.label(stages[0]["stage"]["megabytes"]),
        "megabytes": stages[0]["stage"]["megabytes"],
        "pause_seconds": stages[0]["stage"]["pause_seconds"],
        "max_users": best["users"] if best else 0,
        "max_uploads_per_second": best["uploads_per_second"] if best else 0.0,
        "max_requests_per_second": best["requests_per_second"] if best else 0.0,
        "best": best,
        "shown": best or ramps[0],
        "broke": broke,
        "broke_at_users": broke["users"] if broke else None,
        "broke_by": (broke["first_degraded"] or broke["broken"][0]) if broke else None,
        "ramp": ramps,
        "smoke": next(iter(kinds["smoke"]), None),
        "sustained": (sustained := next(iter(kinds["sustained"]), None)),
        "sustained_uploads_per_second": sustained["uploads_per_second"] if sustained else None,
        "node": _node(best or ramps[0]),
        "ceiling_per_second": _ceiling(best or ramps[0], cores=stages[0]["machine"]["cores"]),
    }


def _stage(data: Mapping[str, Any]) -> dict[str, Any]:
    every, full = samples_of(data), held(data)
    seen, first = observe(full), first_degraded(every)
    seconds = data["stage"]["hold_seconds"]
    uploads = sum(one.name in COMPLETED and not one.is_error for one in full)
    return {
        "users": data["stage"]["users"],
        "seconds": seconds,
        "requests": seen.requests,
        "requests_per_second": round(seen.requests / seconds, 2),
        "uploads": uploads,
        "uploads_per_second": round(uploads / seconds, 2),
        "megabytes_per_second": round(uploads / seconds * data["stage"]["megabytes"], 1),
        "p50_seconds": round(seen.p50_seconds, 3),
        "p95_seconds": round(seen.p95_seconds, 3),
        "max_seconds": round(seen.max_seconds, 3),
        "error_share": round(seen.error_share, 4),
        "resets": seen.resets,
        "timeouts": seen.timeouts,
        "throttled": seen.throttled,
        "holds": bool(seen.requests) and not seen.broken(),
        "broken": [str(one) for one in seen.broken()],
        "first_degraded": str(first[0]) if first else None,
        "first_degraded_seconds": round(first[1]) if first else None,
        "names": {name: _latency(one) for name, one in _by_name(full).items()},
        "upstream_p95_seconds": round(_upstream_p95(data), 3),
        **_evidence(data, uploads),
    }


def _by_name(samples: Iterable[Sample]) -> Mapping[str, Sequence[Sample]]:
    """Group what the store answered, too, of which the criteria count no latency."""
    every = list(samples)
    return {name: [one for one in every if one.name == name] for name in by_name(every)}


def _latency(samples: Sequence[Sample]) -> dict[str, Any]:
    ordered = sorted(one.seconds for one in samples)
    return {
        "requests": len(ordered),
        "p50_seconds": round(percentile(ordered, 50), 3),
        "p95_seconds": round(percentile(ordered, 95), 3),
        "errors": sum(one.is_error for one in samples),
    }


def _window(data: Mapping[str, Any]) -> tuple[float, float]:
    """Return when all users were there and when the stage ended, by the clock of the machine."""
    begun = data["client"]["begun_at"] + data["client"]["full_after_seconds"]
    return begun, begun + data["stage"]["hold_seconds"]


def _upstream_p95(data: Mapping[str, Any]) -> float:
    """Return what nginx waited for the application, of the requests that ended in the window."""
    begun, ended = _window(data)
    shares = [row[5] for row in data["nginx"] if begun <= row[0] <= ended]
    return percentile(sorted(shares), 95)


def _evidence(data: Mapping[str, Any], uploads: int) -> dict[str, Any]:
    """Return what machine and parts did while all users were there."""
    begun, ended = _window(data)
    samples = [one for one in data["server"] if begun <= one["at"] <= ended]
    if len(samples) < 2:
        return {"cpu_share": None, "cpu_share_of_parts": None, "cpu_seconds_per_upload": {}}
    first, last = samples[0], samples[-1]
    seconds, cores = last["at"] - first["at"], data["machine"]["cores"]
    parts = {part: last["cpu_seconds"][part] - first["cpu_seconds"][part] for part in PARTS}
    done = uploads * seconds / data["stage"]["hold_seconds"]  # while it was looked at
    return {
        "cpu_share": round((last["busy_seconds"] - first["busy_seconds"]) / seconds / cores, 3),
        "cpu_share_of_parts": round(sum(parts.values()) / seconds / cores, 3),
        "cpu_seconds_per_upload": {part: round(used / done, 4) for part, used in parts.items()} if done else {},
        "memory_mib": {part: round(max(one["memory_bytes"][part] for one in samples) / 2**20) for part in PARTS},
        "disk_megabytes_per_second": _rate(first, last, "disk_written_bytes"),
        "loopback_megabytes_per_second": _rate(first, last, "loopback_bytes"),
        "database_connections": max(one["database_connections"] for one in samples),
        "database_running": max(one["database_running"] for one in samples),
        "lock_waits": max(one["lock_waits"] for one in samples),
        "queued": round(statistics.mean(one["queued"] for one in samples), 1),
    }


def _rate(first: Mapping[str, Any], last: Mapping[str, Any], name: str) -> float:
    return round(float((last[name] - first[name]) / (last["at"] - first["at"])) / 1e6, 1)


def _node(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an instance alone would take, by the CPU that its parts used for an upload: derived."""
    used = sum(stage["cpu_seconds_per_upload"].get(part, 0.0) for part in NODE_PARTS)
    if not used:
        return {"cpu_seconds_per_upload": None, "uploads_per_second": None, "uploads_per_second_planned": None}
    return {
        "cpu_seconds_per_upload": round(used, 4),
        "heaviest_part": max(NODE_PARTS, key=lambda part: stage["cpu_seconds_per_upload"][part]),
        "cpu_share": round(used / sum(stage["cpu_seconds_per_upload"].values()), 3),
        "uploads_per_second": round(NODE_CORES / used, 1),
        "uploads_per_second_planned": round(NODE_CORES * TARGET_USE / used, 1),
    }


def _ceiling(stage: Mapping[str, Any], *, cores: int) -> float | None:
    """Return the uploads a second at which all parts together would use up this machine: derived."""
    used = sum(stage["cpu_seconds_per_upload"].values())
    return round(cores / used, 2) if used else None


# --- tables ---------------------------------------------------------------------------------------------------


def tables(summary: Summary) -> Mapping[str, str]:
    """Return the tables: a curve for each series, and what all of them come to."""
    series = _measured(summary["series"])
    curves = {f"curve_{key}": _curve(found) if found else UNMEASURED for key, found in summary["series"].items()}
    return {
        **curves,
        "summary": _summary(series),
        "main": _main(series),
        "cpu": _cpu(series),
        "node": _nodes(series),
        "ceilings": _ceilings(series),
        "parts": _direct_parts(series),
        "machine": _machine(summary),
    }


def _curve(series: Mapping[str, Any]) -> str:
    headings = ["usuarios", "subidas/s", "MB/s", "p50 (s)", "p95 (s)", "p95 de la aplicación (s)"]
    headings += ["errores", "CPU de la máquina", "CPU de la prueba", "primer indicador en degradarse"]
    rows: list[list[object]] = [
        [
            spanish(one["users"]),
            one["uploads_per_second"],
            spanish(one["megabytes_per_second"], ".1f"),
            spanish(one["p50_seconds"], ".3f"),
            spanish(one["p95_seconds"], ".3f"),
            spanish(one["upstream_p95_seconds"], ".3f"),
            spanish(one["error_share"], ".1%"),
            spanish(one["cpu_share"], ".0%"),
            spanish(one["cpu_share_of_parts"], ".0%"),
            one["first_degraded"] or ("ninguno" if one["holds"] else one["broken"][0]),
        ]
        for one in series["ramp"]
    ]
    return table(headings, rows)


def _summary(series: Mapping[str, Any]) -> str:
    headings = ["recorrido", "usuarios dentro de los objetivos", "subidas/s", "peticiones/s", "p95 (s)"]
    rows: list[list[object]] = [
        [
            found["title"],
            found["max_users"],
            found["max_uploads_per_second"],
            found["max_requests_per_second"],
            spanish(found["best"]["p95_seconds"] if found["best"] else None, ".3f"),
            found["broke_at_users"] or "no se degradó",
            found["broke_by"] or "ninguno",
        ]
        for found in series.values()
    ]
    return table([*headings, "se degrada con", "primer indicador"], rows)


def _main(series: Mapping[str, Any]) -> str:
    headings = ["recorrido", "etapa", "usuarios", "duración (s)", "peticiones", "p95 (s)", "errores", "cumple"]
    words = {"smoke": "humo", "sustained": "sostenida"}
    rows: list[list[object]] = [
        [
            found["title"],
            word,
            found[kind]["users"],
            round(found[kind]["seconds"]),
            found[kind]["requests"],
            spanish(found[kind]["p95_seconds"], ".3f"),
            spanish(found[kind]["error_share"], ".1%"),
            found[kind]["holds"],
        ]
        for found in series.values()
        for kind, word in words.items()
        if found[kind]
    ]
    return table(headings, rows)


def _cpu(series: Mapping[str, Any]) -> str:
    rows: list[list[object]] = [
        [
            found["title"],
            *(
                spanish(round(used * 1000)) if (used := found["shown"]["cpu_seconds_per_upload"].get(part)) else 0
                for part in PARTS
            ),
        ]
        for found in series.values()
    ]
    return table(["milisegundos de CPU por subida", *PARTS], rows)


def _nodes(series: Mapping[str, Any]) -> str:
    headings = ["recorrido", "CPU de nginx y gunicorn por subida (s)", "subidas/s de un nodo con toda su CPU"]
    rows: list[list[object]] = [
        [
            found["title"],
            spanish(found["node"]["cpu_seconds_per_upload"], ".3f"),
            spanish(found["node"]["uploads_per_second"], ".1f"),
            spanish(found["node"]["uploads_per_second_planned"], ".1f"),
        ]
        for found in series.values()
    ]
    return table([*headings, f"con {spanish(TARGET_USE, '.0%')}"], rows)


def _ceilings(series: Mapping[str, Any]) -> str:
    headings = ["recorrido", "techo derivado (subidas/s)", "medido dentro de los objetivos (subidas/s)"]
    rows: list[list[object]] = [
        [
            found["title"],
            spanish(found["ceiling_per_second"], ".1f"),
            spanish(found["max_uploads_per_second"], ".1f"),
            spanish(found["max_uploads_per_second"] / found["ceiling_per_second"], ".0%"),
        ]
        for found in series.values()
        if found["ceiling_per_second"]
    ]
    return table([*headings, "parte del techo"], rows)


def _direct_parts(series: Mapping[str, Any]) -> str:
    headings = ["recorrido y petición", "peticiones", "p50 (s)", "p95 (s)", "errores"]
    rows: list[list[object]] = [
        [
            f"{found['title']}: `{name}`",
            one["requests"],
            spanish(one["p50_seconds"], ".3f"),
            spanish(one["p95_seconds"], ".3f"),
            one["errors"],
        ]
        for key, found in series.items()
        if key.startswith(("direct", "visit"))
        for name, one in found["shown"]["names"].items()
    ]
    return table(headings, rows)


def _machine(summary: Summary) -> str:
    machine = summary["machine"]
    rows: list[list[object]] = [
        ["procesador", machine["processor"]],
        ["núcleos", machine["cores"]],
        ["memoria (GiB)", machine["memory_gib"]],
        ["núcleo de Linux", machine["kernel"]],
        ["Python", machine["python"]],
        ["fecha de la medición", summary["measured_on"]],
        ["etapas medidas", summary["stages"]],
        ["duración de las etapas (min)", round(summary["seconds"] / 60)],
    ]
    return table(["máquina", "valor"], rows)


# --- figures --------------------------------------------------------------------------------------------------


def figures(summary: Summary) -> Mapping[str, Figure]:
    """Draw the curves of users, and where the CPU goes."""
    series = _measured(summary["series"])
    return {"curves": _draw_curves(series), "cpu": _draw_cpu(series), "parts": _draw_latency_parts(series)}


def _draw_curves(series: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(10, 7), layout="constrained")
    latency, errors = figure.subplots(2, 1, sharex=True)
    for found in series.values():
        users = [one["users"] for one in found["ramp"]]
        latency.plot(users, [one["p95_seconds"] for one in found["ramp"]], marker="o", label=found["title"])
        errors.plot(users, [one["error_share"] * 100 for one in found["ramp"]], marker="o")
    _finish(latency, "p95 de la API (s)", MAX_P95_SECONDS, f"objetivo: {spanish(MAX_P95_SECONDS, 'g')} s")
    _finish(errors, "errores (%)", MAX_ERROR_SHARE * 100, f"objetivo: {spanish(MAX_ERROR_SHARE, '.0%')}")
    latency.set(xscale="log", yscale="log")
    latency.set_xticks(USER_TICKS, map(spanish, USER_TICKS))
    latency.set_yticks(SECOND_TICKS, [spanish(one, "g") for one in SECOND_TICKS])
    latency.minorticks_off()
    errors.set_xlabel(
        "usuarios concurrentes (una máquina: servicio, base de datos y generador comparten los núcleos)"
    )
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _finish(axes: Axes, label: str, target: float, words: str) -> None:
    axes.axhline(target, color="red", linestyle="--", linewidth=1)
    axes.annotate(words, (0.01, target), xycoords=("axes fraction", "data"), va="bottom", color="red")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)


def _draw_cpu(series: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    names, lefts = [found["title"] for found in series.values()], [0.0] * len(series)
    for part in PARTS:
        used = [found["shown"]["cpu_seconds_per_upload"].get(part, 0.0) * 1000 for found in series.values()]
        axes.barh(names, used, left=lefts, label=part)
        lefts = [left + more for left, more in zip(lefts, used, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("milisegundos de CPU por subida")
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside lower center", ncols=len(PARTS), fontsize=8)
    return figure


def _draw_latency_parts(series: Mapping[str, Any]) -> Figure:
    """Draw what clients waited beside what nginx waited for the application."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots()
    names = [f"{found['title']} ({found['shown']['users']} usuarios)" for found in series.values()]
    positions = range(len(names))
    client = [found["shown"]["p95_seconds"] for found in series.values()]
    upstream = [found["shown"]["upstream_p95_seconds"] for found in series.values()]
    axes.barh([one - 0.2 for one in positions], client, height=0.4, label="cliente")
    axes.barh([one + 0.2 for one in positions], upstream, height=0.4, label="aplicación, según nginx")
    axes.set_yticks(list(positions), names)
    axes.axvline(MAX_P95_SECONDS, color="red", linestyle="--", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("p95 (s)")
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside lower center", ncols=len(PARTS), fontsize=8)
    return figure


WEB = Scenario(name="web", summarise=summarise, tables=tables, figures=figures)
