"""How settings of the encoder are compared and one of them is chosen, on clips that nothing encodes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from anb_worker.encoding import QUALITY, Quality
from bench import quality as question
from bench import report
from bench.footage import Excerpt, Measurement
from bench.quality import BASELINE, RUNS, Outcome, Results, choice, front, load, missed, outcomes_of, race

ROOT = Path(__file__).parents[2]


def setting(name):
    return Quality(preset=name, crf=23, tuning="", scaler="bicubic")


def outcome(name, *, vmaf, size_bytes=100, cpu_seconds=10.0):
    quality = name if isinstance(name, Quality) else setting(name)
    return Outcome(
        quality=quality,
        vmaf=vmaf,
        vmaf_p5=vmaf - 2,
        ssim=0.99,
        frames=30,
        size_bytes=size_bytes,
        cpu_seconds=cpu_seconds,
    )


BEFORE = outcome(BASELINE, vmaf=89)


class FakeExcerpt(Excerpt):
    """A clip of which every preset makes what a table says: VMAF, bytes and CPU seconds."""

    def __init__(self, name, made):
        self.name, self.reference, self.made, self.encoded = name, f"reference of {name}", made, []

    def measure(self, quality):
        vmaf, size_bytes, _ = self.made[quality.preset]
        return Measurement(
            clip=self.name,
            reference=self.reference,
            quality=quality,
            vmaf=vmaf,
            vmaf_p5=vmaf - 2,
            ssim=0.99,
            frames=30,
            size_bytes=size_bytes,
            cpu_seconds=(self.cpu_seconds(quality),),
        )

    def cpu_seconds(self, quality):
        self.encoded.append(quality)
        return self.made[quality.preset][2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "quality.json"


MADE = {
    "veryfast": (89.0, 100, 10.0),  # of BASELINE and QUALITY
    "good": (95.0, 90, 9.0),
    "good, too": (96.0, 95, 9.5),
    "poor": (80.0, 200, 20.0),
    "poorer": (70.0, 200, 20.0),
}


def test_the_cheapest_that_is_good_enough_within_the_price_is_chosen():
    affordable = outcome("affordable", vmaf=93, size_bytes=125, cpu_seconds=12.5)
    outcomes = [
        BEFORE,
        outcome("too large", vmaf=93, size_bytes=126, cpu_seconds=9),
        outcome("not good enough", vmaf=92.99, cpu_seconds=9),
        outcome("dearer", vmaf=99, cpu_seconds=12.6),
        affordable,
    ]

    assert choice(outcomes) == affordable


def test_without_one_within_the_price_it_is_the_cheapest_that_is_good_enough():
    dear = outcome("dear", vmaf=93, size_bytes=200, cpu_seconds=20)

    assert choice([BEFORE, outcome("dearer", vmaf=94, cpu_seconds=21), dear]) == dear
    assert choice([BEFORE]) is None


def test_the_front_is_what_nothing_beats():
    small, good = outcome("small", vmaf=80, size_bytes=50), outcome("good", vmaf=95, cpu_seconds=11)
    outcomes = [good, BEFORE, outcome("beaten", vmaf=88), small, outcome("as small", vmaf=79, size_bytes=50)]

    assert front(outcomes) == [BEFORE, small, good]


def test_what_the_worker_does_not_hold_is_said():
    now = outcome(QUALITY, vmaf=92, size_bytes=130, cpu_seconds=12)

    assert missed(now, BEFORE) == ["VMAF 92.0 of a clip, and not 93", "1.30 times the bytes, and not 1.25"]
    assert missed(replace(now, vmaf=93.0, size_bytes=125), BEFORE) == []


def test_the_worst_clip_counts_and_what_it_takes_is_added_up(path):
    one, other = FakeExcerpt("one", {"good": (95.0, 90, 9.0)}), FakeExcerpt("other", {"good": (93.5, 10, 3.0)})
    results = Results(path, [one, other])
    for excerpt in (one, other):
        results.measured(excerpt, setting("good"))

    [found] = outcomes_of(results.measurements)

    assert (found.vmaf, found.size_bytes, found.cpu_seconds, found.frames) == (93.5, 100, 12.0, 60)
    assert found.videos_a_minute == pytest.approx(2 * 60 / (12.0 / 60 * 900))


def test_settings_that_miss_limits_or_are_beaten_are_not_tried_on_the_next_clip(path, monkeypatch):
    monkeypatch.setattr(question, "MIN_LEFT", 2)
    dear = {preset: (vmaf, size, 2 * cpu) for preset, (vmaf, size, cpu) in MADE.items()}
    excerpts = [FakeExcerpt("dear", dear), FakeExcerpt("cheap", MADE)]
    results = Results(path, excerpts)

    race(excerpts, [setting(name) for name in ("good", "good, too", "poor", "poorer")], results)

    assert {quality.preset for quality in excerpts[1].encoded} == set(MADE)
    left = {one.quality for one in outcomes_of(results.measurements)}
    assert left == {BASELINE, QUALITY, setting("good"), setting("good, too")}
    assert excerpts[0].encoded.count(setting("good")) == excerpts[1].encoded.count(setting("good")) == RUNS
    assert excerpts[1].encoded.count(setting("poor")) == 1


def test_a_run_that_was_stopped_goes_on_with_what_it_has(path):
    excerpt = FakeExcerpt("clip", MADE)
    race([excerpt], [setting("good")], Results(path, [excerpt]))
    again = FakeExcerpt("clip", MADE)
    race([again], [setting("good")], Results(path, [again]))

    assert excerpt.encoded
    assert not again.encoded


def test_what_was_compared_with_another_picture_is_measured_again(path):
    excerpt = FakeExcerpt("clip", MADE)
    race([excerpt], [], Results(path, [excerpt]))
    another = FakeExcerpt("clip", MADE)
    another.reference = "what the worker now makes of it"
    race([another], [], Results(path, [another]))

    assert {one.reference for one in load(path)} == {another.reference}


@pytest.mark.parametrize("raw", sorted(question.KEPT.glob("quality-*.json")), ids=lambda path: path.stem)
def test_the_page_and_the_plot_show_what_the_file_holds(raw, tmp_path):
    measurements = load(raw)
    question.plot(outcomes_of(measurements), tmp_path / "plot.svg")

    assert json.loads(raw.read_text())
    assert question.to_markdown(measurements, raw.stem) in (report.DOCS / "performance.md").read_text()
    assert (tmp_path / "plot.svg").read_text() == (report.DOCS / f"{raw.stem}.svg").read_text()
