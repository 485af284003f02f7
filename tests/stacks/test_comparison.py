"""A recorded run, laid over the simulated clock."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local.errors import CannotRun
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions
from twin.comparison import MOST_APART, compare, measured, recorded, replay_all
from twin.comparison_picture import lay_over
from twin.groups import Size
from twin.simulated import run_workers
from twin.templates import fleets

DOCS = Path(__file__).parents[2] / "docs"
END = 2400
SHORTER_JOBS = Assumptions(job=25, boot=90)


@pytest.fixture
def workers(academy):
    return fleets(academy.assembly)["AnbWorker"]


def told_of(fleet, **assumed):
    """Return what a story would tell of a burst, by a run that is simulated with other times and another seed."""
    arrivals = [600.0 + number / 4 for number in range(40)]
    running, done = run_workers(fleet, arrivals=arrivals, seconds=END, assumptions=SHORTER_JOBS, seed=99)
    finished = sorted(at + took for at, took in done.took_seconds)
    moments = [
        {
            "at_seconds": it.at_seconds,
            "visible": it.visible,
            "in_flight": it.in_flight,
            "workers_desired": it.desired,
            "workers": it.in_service,
            "web_desired": 2,
            "web": it.in_service,
            "healthy": 2,
            "processed": sum(at <= it.at_seconds for at in finished),
            "requests": 0,
            "errors": 0,
        }
        for it in running.record.samples
    ]
    events = [
        {"fleet": "workers", "at_seconds": it.at_seconds, "what": it.what, "instance": it.instance}
        for it in running.record.events
    ]
    return {
        "story": "burst",
        "sentence": "40 videos come at once.",
        "notes": [],
        "moments": moments,
        "events": events,
        "answers_by_second": {},
        "accepted_at_seconds": arrivals,
        "processed_after_seconds": [took for _, took in done.took_seconds],
        "instance_seconds": {"workers": done.spent_instance_seconds(), "web": 0},
        "sizes": {"workers": (1, 3), "web": (2, 3)},
        "requests_per_target": None,
    } | assumed


def compared(told, fleet):
    return compare(recorded(told), replay_all(fleet, measured(told)))


def test_a_replay_of_the_same_templates_agrees(workers):
    found = compared(told_of(workers), workers)

    assert found.agrees, found
    assert "desired 1 -> 3" in found.order


def test_a_replay_is_given_what_was_measured(workers):
    given = measured(told_of(workers))

    assert len(given.starts) == 3
    assert given.job == pytest.approx(SHORTER_JOBS.job, rel=0.15)
    assert sum(boot for _, boot in given.starts) / 3 == pytest.approx(SHORTER_JOBS.boot, rel=0.4)


def test_a_replay_of_templates_that_act_otherwise_does_not_agree(workers):
    found = compared(told_of(workers), replace(workers, size=Size(1, 1)))

    assert not found.agrees
    assert found.order != found.recorded_order
    assert max(abs(it.apart) for it in found.figures) > 2 * MOST_APART


def test_the_run_that_is_kept_agrees_with_the_templates_as_the_page_says(workers):
    page, kept = ((DOCS / name).read_text(encoding="utf-8") for name in ("scaling.md", "scaling-burst.json"))
    found = compared(json.loads(kept), workers)

    assert found.agrees, found
    assert [it for it in map(str, found.figures) if it not in page] == []


def test_without_processed_videos_there_is_nothing_to_compare(workers):
    with pytest.raises(CannotRun, match="no video was processed"):
        measured(told_of(workers, processed_after_seconds=[]))


def test_a_run_is_drawn_and_its_replays_over_it(academy, tmp_path):
    folder, run = tmp_path / "templates", tmp_path / "run.json"
    said: list[str] = []
    folder.mkdir()
    for stack, template in academy.assembly.templates.items():
        (folder / f"{stack}.template.json").write_text(json.dumps(template))
    run.write_text(json.dumps(told_of(fleets(Assembly.read_folder(folder, region=""))["AnbWorker"])))

    assert lay_over(run, templates=folder, say=said.append)
    assert [it.partition(":")[0].strip() for it in said] == [
        "videos processed",
        "time to processed, median, s",
        "time to processed, p95, s",
        "workers' instance-seconds",
    ]
    assert {it.name for it in tmp_path.glob("*.png")} == {"run.png", "run.simulated.png"}
