"""Scenario 2, told: its tables and figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from capacity.numbers import spanish, table
from capacity.report import Scenario, Summary
from capacity.worker_plan import LARGEST_BURST, PROCESSES, SATURATION, SIZES_MB, SUSTAINED, WITHIN_SECONDS
from capacity.worker_results import PARTS, summarise

_PARTS = {
    "ffmpeg": "ffmpeg",
    "worker": "Python del worker",
    "database": "base de datos",
    "emulator": "emulador de S3 y SQS",
    "producer": "inyector y muestreo",
}
_STEPS = {
    "decoding": "ffmpeg: decodificar",
    "filters": "ffmpeg: escalar y componer",
    "encoding": "ffmpeg: codificar y lo demás",
}
_FLEET = 3  # the most workers that the course allows
# What a machine of that fleet has to do so that the promised burst is done in time
_NEEDED_PER_MINUTE = LARGEST_BURST / (WITHIN_SECONDS / 60) / _FLEET


def tables(summary: Summary) -> dict[str, str]:
    """Return the tables of the results document."""
    cells = summary["cells"].values()
    found = {
        "machine": table(["", "Valor"], [["Máquina", _machine(summary["machine"])], *_lengths(summary)]),
        "capacity": table(
            [
                "Videos y procesos",
                "X saturada",
                "S",
                "S p95",
                "X sostenida",
                "Tendencia de la cola",
                "Estable",
                "Satura desde",
                "Cuello de botella",
            ],
            [_capacity_row(cell) for cell in cells],
        ),
        "little": table(
            ["Celda y prueba", "X por minuto", "S, s", "L contada", "X · S / 60", "Diferencia", "Dentro del 10 %"],
            [_little_row(cell, run) for cell in cells for run in (SATURATION, SUSTAINED)],
        ),
        "usage": table(
            [
                "Celda saturada",
                "CPU ocupada",
                "De otros",
                "Espera de disco",
                "Disco, MB/s",
                "Red, MB/s",
                "Scratch, MB",
                "Memoria, MB",
            ],
            [_usage_row(cell) for cell in cells],
        ),
        "cpu": table(
            ["s de CPU por video", *(_PARTS[part] for part in PARTS)],
            [
                [_title(cell), *(_two(cell[SATURATION]["usage"]["cpu_seconds_per_video"][part]) for part in PARTS)]
                for cell in cells
            ],
        ),
        "steps": table(
            ["Celda", "Ofrecidos por minuto", "Procesados", "Tendencia de la cola", "En espera al final", "Crece"],
            [
                [
                    _title(cell),
                    _two(step["offered_per_minute"]),
                    _two(step["processed_per_minute"]),
                    _signed(step["queue_trend_per_minute"]),
                    step["waiting_at_end"],
                    step["grows"],
                ]
                for cell in cells
                for step in cell[SATURATION]["steps"]
            ],
        ),
    }
    found["predictions"] = table(
        ["Celda", "CPU por video con un proceso, s", "Techo derivado", "X medida", "Parte del techo"],
        [
            [
                _title(one),
                _two(one["cpu_seconds_per_video"]),
                _two(one["ceiling_per_minute"]),
                _two(one["videos_per_minute"]),
                spanish(one["share"], ".0%"),
            ]
            for one in summary["predictions"]
        ],
    )
    if "pipelines" in summary:
        found["pipelines"] = table(
            ["Videos", "Cadena", "Videos por minuto", "CPU, s", "MB del resultado", "VMAF"],
            [
                [
                    name,
                    text,
                    _two(clip[side]["videos_per_minute"]),
                    _two(clip[side]["cpu_seconds"]),
                    _two(clip[side]["megabytes"]),
                    _two(clip[side]["vmaf"]),
                ]
                for name, clip in summary["pipelines"].items()
                for side, text in (("worker", "worker"), ("usual", "habitual"))
            ],
        )
        found["anatomy"] = table(
            ["Videos", "Decodificar, s de CPU", "Escalar y componer, s", "Codificar y lo demás, s"],
            [
                [name, *(_two(clip["cpu_seconds"][step]) for step in ("decoding", "filters", "encoding"))]
                for name, clip in summary["pipelines"].items()
            ],
        )
    return found


def _machine(machine: Mapping[str, Any]) -> str:
    versions = f"Linux {machine['kernel']}, Python {machine['python']}"
    return f"{machine['processor']}, {machine['cores']} núcleos, {machine['memory_gib']} GiB, {versions}"


def _lengths(summary: Summary) -> list[list[object]]:
    lengths = summary["lengths"]
    steps = ", ".join(spanish(step, ".0%") for step in lengths["steps"])
    return [
        ["Saturación", f"{steps} de lo que dio el calentamiento, {lengths['step_seconds']} s cada escalón"],
        [
            "Sostenida",
            f"{spanish(lengths['sustained_load'], '.0%')} de la X saturada, {lengths['sustained_seconds']} s",
        ],
        ["Videos procesados", spanish(summary["totals"]["videos"])],
    ]


def _title(cell: Mapping[str, Any]) -> str:
    processes = "1 proceso" if cell["processes"] == 1 else f"{cell['processes']} procesos"
    return f"{cell['megabytes']} MB, {processes}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{spanish(abs(value), '.2f')}"  # noqa: RUF001 the sign, not a hyphen


def _two(value: float | None) -> str:
    return spanish(value, ".2f")


def _capacity_row(cell: Mapping[str, Any]) -> list[object]:
    saturated, sustained = cell[SATURATION], cell[SUSTAINED]
    return [
        _title(cell),
        _two(saturated["videos_per_minute"]),
        spanish(saturated["service_seconds"], ".1f"),
        spanish(saturated["service_seconds_p95"], ".1f"),
        _two(sustained["videos_per_minute"]),
        _signed(sustained["queue_trend_per_minute"]),
        sustained["is_stable"],
        _two(saturated["saturation_per_minute"]),
        saturated["bottleneck"],
    ]


def _little_row(cell: Mapping[str, Any], run: str) -> list[object]:
    found, name = cell[run], {SATURATION: "saturación", SUSTAINED: "sostenida"}[run]
    return [
        f"{_title(cell)}, {name}",
        _two(found["videos_per_minute"]),
        spanish(found["service_seconds"], ".1f"),
        _two(found["concurrency"]),
        _two(found["concurrency_by_little"]),
        spanish(found["disagreement"], ".1%"),
        found["agrees"],
    ]


def _usage_row(cell: Mapping[str, Any]) -> list[object]:
    usage = cell[SATURATION]["usage"]
    shares = (spanish(usage[key], ".0%") for key in ("busy_share", "others_share", "iowait_share"))
    rest = (
        "disk_megabytes_per_second",
        "fetched_megabytes_per_second",
        "scratch_peak_megabytes",
        "memory_peak_megabytes",
    )
    return [_title(cell), *shares, *(spanish(usage[key], ".1f") for key in rest)]


# --- figures ----------------------------------------------------------------------------------------------


def figures(summary: Summary) -> dict[str, Figure]:
    """Return the figures of the results document."""
    return {"throughput": _throughput(summary), "queue": _queue(summary), "cpu": _cpu(summary)}


def _throughput(summary: Summary) -> Figure:
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    rate, service = figure.subplots(1, 2)
    for size in SIZES_MB:
        cells = [cell for cell in summary["cells"].values() if cell["megabytes"] == size]
        counts = [cell["processes"] for cell in cells]
        rate.plot(counts, [cell[SATURATION]["videos_per_minute"] for cell in cells], "o-", label=f"{size} MB")
        service.plot(counts, [cell[SATURATION]["service_seconds"] for cell in cells], "o-", label=f"{size} MB")
    rate.axhline(
        _NEEDED_PER_MINUTE,
        color="grey",
        linestyle="--",
        label=f"lo que piden {LARGEST_BURST} videos a {_FLEET} nodos",
    )
    rate.set_ylabel("X, videos por minuto (saturada)")
    service.set_ylabel("S, segundos por video")
    for axes in (rate, service):
        axes.set_xlabel("procesos concurrentes en el nodo")
        axes.set_xticks(PROCESSES)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _queue(summary: Summary) -> Figure:
    cells = list(summary["cells"].values())
    figure = Figure(figsize=(10, 2 + 2 * len(cells)), layout="constrained")
    rows = figure.subplots(len(cells), 2, squeeze=False)
    for cell, axes_of_cell in zip(cells, rows, strict=True):
        for run, axes in zip((SATURATION, SUSTAINED), axes_of_cell, strict=True):
            points = cell[run]["series"]
            seconds = [point[0] for point in points]
            axes.step(seconds, [point[1] for point in points], where="post", label="en espera")
            axes.step(seconds, [point[2] for point in points], where="post", label="en proceso", alpha=0.7)
            axes.set_title(f"{_title(cell)}: {'saturación' if run == SATURATION else 'sostenida'}", fontsize=9)
            axes.set_ylabel("videos")
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
            if run == SATURATION:
                for number in range(1, len(cell[run]["steps"]) + 1):
                    axes.axvline(number * summary["lengths"]["step_seconds"], color="grey", linestyle=":")
    for axes in rows[-1]:
        axes.set_xlabel("segundos desde el primer mensaje")
    rows[0][0].legend()
    return figure


def _cpu(summary: Summary) -> Figure:
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    cells = list(summary["cells"].values())
    titles, left = [_title(cell) for cell in cells], [0.0] * len(cells)
    for text, widths in _split(summary, cells):
        axes.barh(titles, widths, left=left, label=text)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    axes.set_xlabel("segundos de CPU por video, saturado")
    axes.invert_yaxis()
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _split(summary: Summary, cells: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    """Yield each part's CPU seconds by cell, those of ffmpeg by what they are spent on where that was measured."""
    used = {part: [cell[SATURATION]["usage"]["cpu_seconds_per_video"][part] for cell in cells] for part in PARTS}
    steps = [summary.get("pipelines", {}).get(f"{cell['megabytes']}mb", {}).get("cpu_seconds") for cell in cells]
    if all(steps):
        for step, text in _STEPS.items():
            shares = [one[step] / sum(one.values()) for one in steps]
            yield text, [share * seconds for share, seconds in zip(shares, used["ffmpeg"], strict=True)]
    else:
        yield _PARTS["ffmpeg"], used["ffmpeg"]
    yield from ((_PARTS[part], used[part]) for part in PARTS if part != "ffmpeg")


WORKER = Scenario(name="worker", summarise=summarise, tables=tables, figures=figures)
