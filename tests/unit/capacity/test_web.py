"""The plan of scenario 1: how far it climbs, what it measures again, and what its data come to."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from capacity import raw
from capacity.web import Checkpoints, holds
from capacity.web_plan import FULL, MEDIUM, SERIES, Series, run_through, stages_at_most
from capacity.web_results import WEB

STAIRS = Series(
    key="multipart10", title="A", journey="MultipartUploader", megabytes=10, users=(10, 20, 30, 40), is_main=True
)


def climbed(most_users, series=STAIRS):
    run = []

    def holds_until(stage):
        run.append((stage.kind, stage.users))
        return stage.users <= most_users

    run_through(FULL, holds_until, [series])
    return run


def test_users_grow_until_a_criterion_breaks_and_then_stay_at_four_fifths_of_the_best():
    assert climbed(25) == [("smoke", 5), ("ramp", 10), ("ramp", 20), ("ramp", 30), ("sustained", 16)]


def test_nothing_is_sustained_where_nothing_held():
    assert climbed(5) == [("smoke", 5), ("ramp", 10)]


def test_the_lengths_are_those_of_the_course():
    found = {stage.kind: stage for stage in stages_at_most(FULL, [STAIRS])}

    assert (found["smoke"].users, found["smoke"].hold_seconds) == (5, 60)
    assert (found["ramp"].ramp_seconds, found["ramp"].hold_seconds) == (180, 300)
    assert found["sustained"].hold_seconds == 300


def test_every_stage_has_a_name_of_its_own():
    names = [stage.name for stage in stages_at_most(FULL, SERIES)]

    assert len(names) == len(set(names))


def seen(second, seconds=0.2, status=201):
    name = "POST /api/videos/upload"
    return {
        "started_seconds": second,
        "seconds": seconds,
        "name": name,
        "status": status,
        "failure": "",
        "is_of_store": False,
    }


PARTS = ("nginx", "gunicorn", "mariadb", "emulador", "sumidero", "locust", "medición")


def looked_at(second, cpu):
    return {
        "at": 1000.0 + second,
        "cpu_seconds": dict.fromkeys(PARTS, cpu),
        "memory_bytes": dict.fromkeys(PARTS, 2**20),
        "busy_seconds": second,
        "disk_written_bytes": second * 10**6,
        "loopback_bytes": 0,
        "database_connections": 4,
        "database_running": 1,
        "lock_waits": 0,
        "queued": 0,
    }


def measured(stage, *, seconds=0.2, status=201):
    """Raw data of a stage: ten requests a second while all users are there, each part on one core."""
    full = stage.ramp_seconds
    return {
        "stage": stage.to_json(),
        "measured_at": datetime(2026, 1, 2, tzinfo=UTC).isoformat(),
        "machine": {"processor": "x", "cores": 2, "memory_gib": 4, "kernel": "6", "python": "3.11"},
        "client": {
            "begun_at": 1000.0,
            "full_after_seconds": full,
            "samples": [seen(full + n / 10, seconds, status) for n in range(int(stage.hold_seconds * 10))],
        },
        "server": [looked_at(full + n, n) for n in range(int(stage.hold_seconds) + 1)],
        "nginx": [[1000.0 + full + n, "POST", "/api/videos/upload", 201, 0.2, 0.15] for n in range(10)],
    }


def stages(most_users=25):
    found = []

    def holds_until(stage):
        found.append(stage)
        return stage.users <= most_users

    run_through(MEDIUM, holds_until, [STAIRS])
    return found


@pytest.fixture
def folder(tmp_path):
    for stage in stages():
        data = measured(stage, seconds=0.2 if stage.users <= 25 else 1.5)
        Checkpoints(tmp_path, MEDIUM).keep(stage, data)
    return tmp_path


def test_a_run_that_was_interrupted_goes_on_where_it_was(folder):
    last = stages()[-1]
    (folder / f"{last.name}.json.gz").unlink()
    run = []

    def measure(stage):
        run.append(stage)
        return measured(stage)

    results = [Checkpoints(folder, MEDIUM).holds(stage, measure) for stage in stages()]

    assert run == [last]
    assert results == [True, True, True, False, True]
    assert Checkpoints(folder, MEDIUM).find(last)


def test_a_stage_that_was_run_otherwise_is_run_again(folder):
    [stage, *_] = stages()
    path = folder / f"{stage.name}.json.gz"
    data = raw.read(path)
    raw.write(path, data | {"stage": data["stage"] | {"pause_seconds": 5.0}})

    assert Checkpoints(folder, MEDIUM).find(stage) is None


def test_stages_of_another_length_are_not_mixed_in(folder):
    Checkpoints(folder, FULL)

    assert not [*folder.iterdir()]


def test_a_stage_holds_by_what_began_while_all_users_were_there():
    stage = stages()[1]
    early = [seen(0.0, seconds=30)] * 100
    data = measured(stage)
    data["client"]["samples"] += early

    assert holds(data)
    late = [seen(stage.seconds + 1, seconds=30)] * 100
    data["client"]["samples"] += late
    assert holds(data)
    assert not holds(measured(stage, seconds=1.2))
    assert not holds(measured(stage, status=503))
    assert not holds(data | {"client": data["client"] | {"samples": early}})


def test_the_summary_tells_the_most_users_and_what_broke_first(folder):
    found = WEB.summarise(folder)["series"]["multipart10"]

    assert (found["max_users"], found["broke_at_users"], found["broke_by"]) == (20, 30, "latencia p95")
    assert found["max_uploads_per_second"] == 10
    assert found["sustained"]["users"] == 16
    assert found["best"]["upstream_p95_seconds"] == 0.15


def test_a_nodes_capacity_follows_from_the_cpu_that_its_parts_used(folder):
    node = WEB.summarise(folder)["series"]["multipart10"]["node"]

    # A second of CPU each second, for ten uploads, by nginx and by gunicorn
    assert node["cpu_seconds_per_upload"] == pytest.approx(0.2, rel=0.05)
    assert node["uploads_per_second"] == pytest.approx(10, rel=0.05)


def test_the_gain_of_the_direct_way_is_predicted_by_the_cpu_of_all_parts_and_checked_by_what_was_reached(tmp_path):
    for key, uploads in (("multipart50", 1), ("direct50", 2)):
        stage = replace(stages()[1], series=key)
        data = measured(stage)
        data["client"]["samples"] = data["client"]["samples"][:: 10 // uploads]
        Checkpoints(tmp_path, MEDIUM).keep(stage, data)

    summary = WEB.summarise(tmp_path)

    # Seven parts use a core each, whatever comes of it
    assert summary["series"]["multipart50"]["ceiling_per_second"] == pytest.approx(2 / 7, rel=0.05)
    assert summary["checked_gains"]["50"] == pytest.approx({"predicted": 2.0, "measured": 2.0}, rel=0.05)
    assert summary["checked_gains"]["100"] is None


def test_every_table_and_figure_can_be_made(folder):
    summary = WEB.summarise(folder)

    assert "| 30 |" in WEB.tables(summary)["curve_multipart10"]
    assert set(WEB.figures(summary)) == {"curves", "cpu", "parts"}


def test_what_was_measured_from_outside_alone_has_latencies_and_no_cpu(tmp_path):
    [_, stage, *_] = stages()
    Checkpoints(tmp_path, MEDIUM).keep(stage, measured(stage) | {"server": [], "nginx": []})

    summary = WEB.summarise(tmp_path)

    found = summary["series"]["multipart10"]
    assert (found["max_users"], found["node"]["cpu_seconds_per_upload"]) == (10, None)
    assert "| n. d. |" in WEB.tables(summary)["curve_multipart10"]
    assert WEB.figures(summary)
