"""Which settings make clips that look good enough, and what do they cost?

Every setting encodes the first seconds of each clip as the worker does, and is compared with a body that the worker
scaled by lanczos and hardly compressed. CPU seconds are the least of the runs: whatever else the machine does only
adds to them.

After each clip, the cheapest first, goes the half of the settings that miss most limits or that most others beat at
everything (successive halving); only those that are left are encoded again for their CPU. What was measured is kept
in a file, from which a run that was stopped goes on, and which the tables and the plot are made of.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import click
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anb_worker.encoding import BODY_FRAMES, QUALITY, Quality
from bench.clips import CLIPS
from bench.footage import Excerpt, Measurement
from bench.report import DOCS, CannotMeasure, Report, table

MIN_VMAF, MAX_PRICE = 93, 1.25  # of every clip; times the CPU seconds and the bytes of BASELINE
RUNS = 2  # of each setting that is left, for its CPU
MIN_LEFT = 20  # settings, which are not halved any more
CORES = 2  # of a worker's instance
KEPT = Path(__file__).parent / "results"

# What the worker did before real footage was measured
BASELINE = Quality(preset="veryfast", crf=23, tuning="", scaler="bicubic")
GRID = (
    QUALITY,  # between two steps
    *(
        Quality(preset=preset, crf=crf, tuning=tuning, scaler=scaler)
        for preset, crf, tuning, scaler in product(
            ("superfast", "veryfast", "faster"),
            (22.5, 23, 23.5),
            (
                "",
                "trellis=1",
                # Adaptive quantisation is weakened, but stays: without it VMAF is higher, and a dusk has more bands
                "trellis=1:aq-strength=0.5",
                "trellis=1:aq-strength=0.3:deblock=-1,-1",
                "trellis=1:aq-strength=0.5:subme=4",
            ),
            ("bicubic", "lanczos"),  # one that is sharper than the reference's would gain VMAF by contrast
        )
    ),
)
HEADINGS = ("settings", "VMAF", "5th percentile", "SSIM", "bytes", "CPU", "videos a minute")
CLIP_HEADINGS = ("clip, before → now", "VMAF", "5th percentile", "SSIM", "kB", "CPU s")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a setting came to over the clips: the least of each score, and the sums of what it takes."""

    quality: Quality
    vmaf: float
    vmaf_p5: float
    ssim: float
    frames: int
    size_bytes: int
    cpu_seconds: float

    @property
    def videos_a_minute(self) -> float:
        """How many bodies of full length CORES encode, reckoned from the frames."""
        return CORES * 60 * self.frames / (self.cpu_seconds * BODY_FRAMES)

    def beats(self, other: "Outcome") -> bool:
        """Whether it is better, smaller or cheaper than the other, and nowhere worse."""
        mine, others = ((-one.vmaf, one.size_bytes, one.cpu_seconds) for one in (self, other))
        return mine != others and all(one <= another for one, another in zip(mine, others, strict=True))

    def price(self, baseline: "Outcome") -> tuple[float, float]:
        """Return its bytes and its CPU seconds for each of the baseline's."""
        return self.size_bytes / baseline.size_bytes, self.cpu_seconds / baseline.cpu_seconds


class Results:
    """What has been measured of excerpts, in a file that is complete after each measurement."""

    def __init__(self, path: Path, excerpts: Iterable[Excerpt]) -> None:
        references = {excerpt.reference for excerpt in excerpts}
        kept = [one for one in load(path) if one.reference in references] if path.exists() else []
        self._path, self._known = path, {(one.reference, one.quality): one for one in kept}

    @property
    def measurements(self) -> Sequence[Measurement]:
        """All of them."""
        return list(self._known.values())

    def measured(self, excerpt: Excerpt, quality: Quality, *, runs: int = 1) -> Measurement:
        """Return what came of it, after encoding as often as that still takes."""
        known = self._known.get((excerpt.reference, quality)) or self._keep(excerpt.measure(quality))
        while len(known.cpu_seconds) < runs:
            known = self._keep(replace(known, cpu_seconds=(*known.cpu_seconds, excerpt.cpu_seconds(quality))))
        return known

    def _keep(self, measurement: Measurement) -> Measurement:
        self._known[measurement.reference, measurement.quality] = measurement
        lines = ",\n".join(json.dumps(asdict(one)) for one in self._known.values())
        draft = self._path.with_suffix(".part")
        draft.write_text(f"[\n{lines}\n]\n")
        draft.replace(self._path)
        click.echo(f"{measurement.clip} {label(measurement.quality)}: VMAF {measurement.vmaf:.2f}", err=True)
        return measurement


def load(path: Path) -> list[Measurement]:
    """Return the measurements that a file keeps."""
    return [
        Measurement(**{**one, "quality": Quality(**one["quality"]), "cpu_seconds": tuple(one["cpu_seconds"])})
        for one in json.loads(path.read_text())
    ]


def measure(*, quick: bool, footage: Path | None = None) -> Report:
    """Answer for the clips of a folder, or for drawn ones; quick: only compare before with now, on one clip."""
    files = sorted(footage.glob("*.mp4")) if footage else [clip.file() for clip in CLIPS if not clip.is_uhd]
    if not files:
        raise CannotMeasure(f"there is no .mp4 in {footage}")
    name = "quality-footage" if footage else "quality-drawn"
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        excerpts = [Excerpt(file, Path(scratch)) for file in (files[:1] if quick else files)]
        results = Results((Path(scratch) if quick else KEPT) / f"{name}.json", excerpts)
        race(excerpts, () if quick else GRID, results)
    outcomes = outcomes_of(results.measurements)
    if not quick:
        plot(outcomes, DOCS / f"{name}.svg")
    return Report(
        conditions=f"{len(files)} {'clips of real footage' if footage else 'drawn clips'}, {len(GRID)} settings",
        text=to_markdown(results.measurements, name),
        missed=missed(_of(outcomes, QUALITY), _of(outcomes, BASELINE)),
        figures=outcomes,
    )


def race(excerpts: Sequence[Excerpt], grid: Iterable[Quality], results: Results) -> None:
    """Measure all settings on the cheapest excerpt, the better half on the next and so on."""
    left = list(dict.fromkeys((BASELINE, QUALITY, *grid)))
    by_cost = sorted(excerpts, key=lambda one: min(results.measured(one, BASELINE).cpu_seconds))
    for number, excerpt in enumerate(by_cost, start=1):
        for quality in left:
            results.measured(excerpt, quality)
        if number < len(by_cost):
            seen = product(by_cost[:number], left)
            left = better_half(outcomes_of([results.measured(*one) for one in seen]))
    for runs in range(2, RUNS + 1):  # by turns, so that none has the machine's worst minute to itself
        for quality, excerpt in product(left, by_cost):
            results.measured(excerpt, quality, runs=runs)


def outcomes_of(measurements: Iterable[Measurement]) -> list[Outcome]:
    """Return what came of the settings that every clip was encoded with."""
    by_quality: dict[Quality, list[Measurement]] = {}
    for one in measurements:
        by_quality.setdefault(one.quality, []).append(one)
    clips = max(map(len, by_quality.values()))
    return [_outcome(quality, of_it) for quality, of_it in by_quality.items() if len(of_it) == clips]


def _outcome(quality: Quality, measurements: Sequence[Measurement]) -> Outcome:
    return Outcome(
        quality=quality,
        vmaf=min(one.vmaf for one in measurements),
        vmaf_p5=min(one.vmaf_p5 for one in measurements),
        ssim=min(one.ssim for one in measurements),
        frames=sum(one.frames for one in measurements),
        size_bytes=sum(one.size_bytes for one in measurements),
        cpu_seconds=sum(min(one.cpu_seconds) for one in measurements),
    )


def better_half(outcomes: Sequence[Outcome]) -> list[Quality]:
    """Return the settings that miss the fewest limits and are beaten by the fewest, BASELINE and QUALITY anyway."""
    before = _of(outcomes, BASELINE)
    rank = {one.quality: (len(missed(one, before)), sum(other.beats(one) for other in outcomes)) for one in outcomes}
    kept = sorted(rank, key=rank.__getitem__)[: max(MIN_LEFT, len(outcomes) // 2)]
    return list(dict.fromkeys((BASELINE, QUALITY, *kept)))


def front(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return what nothing beats (Pareto), the cheapest first."""
    unbeaten = [one for one in outcomes if not any(other.beats(one) for other in outcomes)]
    return sorted(unbeaten, key=lambda one: one.cpu_seconds)


def choice(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the cheapest that misses no limit, or else the cheapest that looks good enough."""
    good = [one for one in outcomes if one.vmaf >= MIN_VMAF]
    affordable = [one for one in good if not missed(one, _of(outcomes, BASELINE))]
    return min(affordable or good, key=lambda one: one.cpu_seconds, default=None)


def missed(outcome: Outcome, before: Outcome) -> list[str]:
    """Return a sentence for each limit that a setting does not hold."""
    size, cpu = outcome.price(before)
    limits = {
        f"VMAF {outcome.vmaf:.1f} of a clip, and not {MIN_VMAF}": outcome.vmaf >= MIN_VMAF,
        f"{size:.2f} times the bytes, and not {MAX_PRICE}": size <= MAX_PRICE,
        f"{cpu:.2f} times the CPU, and not {MAX_PRICE}": cpu <= MAX_PRICE,
    }
    return [sentence for sentence, holds in limits.items() if not holds]


def _of(outcomes: Iterable[Outcome], quality: Quality) -> Outcome:
    return next(one for one in outcomes if one.quality == quality)


# --- what people read -------------------------------------------------------------------------------------


def label(quality: Quality) -> str:
    """Return the settings in few words."""
    return " ".join(filter(None, (quality.preset, f"{quality.crf:g}", quality.scaler, quality.tuning)))


def to_markdown(measurements: Sequence[Measurement], name: str) -> str:
    """Return what nothing beats, before and now included, where the plot is, and what each clip gained."""
    outcomes = outcomes_of(measurements)
    before, now, best = _of(outcomes, BASELINE), _of(outcomes, QUALITY), choice(outcomes)
    rows = sorted({*front(outcomes), before, now}, key=lambda one: one.cpu_seconds)
    chosen = f"`{label(best.quality)}`" if best else "none"
    by_clip = sorted(measurements, key=lambda one: one.clip)
    of_clips = [[one for one in by_clip if one.quality == quality] for quality in (BASELINE, QUALITY)]
    return "\n\n".join(
        (
            table(HEADINGS, (_row(one, before) for one in rows)),
            f"Of least CPU with at least {MIN_VMAF}, if possible within {MAX_PRICE} times bytes and CPU: {chosen}.",
            f"![VMAF over bytes and CPU]({name}.svg)",
            table(CLIP_HEADINGS, (_clip_row(*pair) for pair in zip(*of_clips, strict=True))),
        )
    )


def _row(outcome: Outcome, before: Outcome) -> tuple[str, ...]:
    roles = {BASELINE: " (before)", QUALITY: " (**the worker's**)"}
    size, cpu = outcome.price(before)
    return (
        f"`{label(outcome.quality)}`{roles.get(outcome.quality, '')}",
        f"{outcome.vmaf:.2f}",
        f"{outcome.vmaf_p5:.2f}",
        f"{outcome.ssim:.4f}",
        f"{size:.2f}",
        f"{cpu:.2f}",
        f"{outcome.videos_a_minute:.1f}",
    )


def _clip_row(before: Measurement, now: Measurement) -> tuple[str, ...]:
    return (
        before.clip,
        f"{before.vmaf:.2f} → {now.vmaf:.2f}",
        f"{before.vmaf_p5:.2f} → {now.vmaf_p5:.2f}",
        f"{before.ssim:.4f} → {now.ssim:.4f}",
        f"{before.size_bytes / 1e3:.0f} → {now.size_bytes / 1e3:.0f}",
        f"{min(before.cpu_seconds):.2f} → {min(now.cpu_seconds):.2f}",
    )


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw VMAF over CPU and over bytes; the same outcomes give the same bytes."""
    with rc_context({"svg.hashsalt": "anb", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        by_bytes, by_cpu = figure.subplots(1, 2, sharey=True)
        before = _of(outcomes, BASELINE)
        _draw(by_bytes, outcomes, "Bytes", lambda one: one.price(before)[0])
        _draw(by_cpu, outcomes, "CPU", lambda one: one.price(before)[1])
        by_bytes.set_ylabel("VMAF of the worst clip (harmonic mean)")
        by_bytes.legend()
        figure.savefig(path, metadata={"Date": None})


def _draw(axes: Axes, outcomes: Sequence[Outcome], what: str, price: Callable[[Outcome], float]) -> None:
    for preset in dict.fromkeys(one.quality.preset for one in outcomes):
        points = [one for one in outcomes if one.quality.preset == preset]
        axes.scatter([*map(price, points)], [one.vmaf for one in points], label=preset, alpha=0.6)
    best = front(outcomes)
    ring = axes.scatter([*map(price, best)], [one.vmaf for one in best], label="beaten by none", s=90)
    ring.set(facecolors="none", edgecolors="black")
    for quality, word in {BASELINE: "before", QUALITY: "the worker's"}.items():
        one = _of(outcomes, quality)
        axes.annotate(word, (price(one), one.vmaf), xytext=(8, -12), textcoords="offset points")
    axes.axhline(MIN_VMAF, color="grey", linestyle="--")
    axes.axvline(MAX_PRICE, color="grey", linestyle="--")
    axes.set_xlabel(f"{what}, times those before")
    axes.grid(alpha=0.3)
