"""What the raw data of the workers' scenario say."""

import json
from contextlib import nullcontext

import pytest

from capacity import raw, worker
from capacity.worker_plan import CELLS, FULL, SATURATION, SUSTAINED, Lengths, arrivals
from capacity.worker_results import (
    bottleneck,
    compared,
    jobs_of,
    mean_over_time,
    predictions,
    saturated_window,
    state,
    steps_of,
    summarise,
    summary_of_run,
    trend_per_minute,
)
from capacity.worker_run import logged_event

BEGIN = 1_000.0
PARTS = ("ffmpeg", "worker", "database", "emulator", "producer")


def events_of(jobs):
    """Each job is enqueued, started and ended at these seconds."""
    return [
        {"event": event, "id": f"v{number}", "at": BEGIN + at}
        for number, times in enumerate(jobs)
        for event, at in zip(("enqueued", "started", "ended"), times, strict=True)
    ]


def sample(at, waiting, in_flight, *, busy=1.0):
    """Two processors of which a share has been busy so far, all of that with ffmpeg."""
    machine = dict.fromkeys(("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"), 0.0)
    return {
        "at": BEGIN + at,
        "waiting": waiting,
        "in_flight": in_flight,
        "cpu_seconds": {**dict.fromkeys(PARTS, 0.0), "ffmpeg": 2 * at * busy},
        "machine_seconds": {**machine, "user": 2 * at * busy, "idle": 2 * at * (1 - busy)},
        "worker_bytes": 300e6,
        "disk_read_bytes": 0,
        "disk_written_bytes": 1e6 * at,
        "scratch_bytes": 60e6,
    }


def run_of(jobs, *, run, loads, processes=1, lengths=FULL, in_flight_of=None):
    """A run whose samples, one a second, say what its jobs say."""
    last = round(max(ended for *_, ended in jobs))
    counted = in_flight_of or (lambda at: sum(started <= at < ended for _, started, ended in jobs))
    return {
        "cell": {"megabytes": 50, "processes": processes},
        "run": run,
        "lengths": lengths.to_json(),
        "machine": "two cores",
        "begun": "2026-11-26T10:00:00+00:00",
        "source_bytes": 50_000_000,
        "loads": loads,
        "events": events_of(jobs),
        "samples": [
            sample(at, sum(queued <= at < started for queued, started, _ in jobs), counted(at))
            for at in range(last + 1)
        ],
    }


def steady(*, videos=24, every=10.0, takes=8.0):
    """One worker, a video every ten seconds, which takes eight: nothing ever waits."""
    return [(every * number, every * number, every * number + takes) for number in range(videos)]


def overloaded(*, videos=30, every=5.0, takes=10.0):
    """One worker that gets twice what it can do."""
    return [(every * number, takes * number, takes * (number + 1)) for number in range(videos)]


def test_a_sustained_run_processes_what_it_is_sent_and_its_queue_stays_flat():
    found = summary_of_run(run_of(steady(), run=SUSTAINED, loads=[(240, 0.8)]))

    assert found["videos_per_minute"] == pytest.approx(6, rel=0.03)
    assert found["service_seconds"] == pytest.approx(8)
    assert found["queue_trend_per_minute"] == 0
    assert found["is_stable"]


def test_a_saturated_worker_has_the_throughput_of_its_service_time_and_a_growing_queue():
    found = summary_of_run(run_of(overloaded(), run=SATURATION, loads=[(150, 2.0)]))

    assert found["videos_per_minute"] == pytest.approx(6, rel=0.03)
    assert found["bottleneck"] == "CPU"
    assert found["saturation_per_minute"] == 12
    assert found["steps"][0]["queue_trend_per_minute"] == pytest.approx(6, rel=0.1)


def test_the_counted_concurrency_agrees_with_throughput_times_service_time():
    found = summary_of_run(run_of(steady(), run=SUSTAINED, loads=[(240, 0.8)]))

    assert found["concurrency_by_little"] == pytest.approx(0.8, rel=0.03)
    assert found["disagreement"] < 0.1
    assert found["agrees"]


def test_a_queue_that_counts_another_concurrency_is_told():
    lying = run_of(steady(), run=SUSTAINED, loads=[(240, 0.8)], in_flight_of=lambda _: 1)

    assert not summary_of_run(lying)["agrees"]


def test_a_video_that_did_not_end_makes_a_run_worthless():
    run = run_of(steady(), run=SUSTAINED, loads=[(240, 0.8)])
    run["events"] = run["events"][:-1]

    with pytest.raises(ValueError, match="v23 was not"):
        jobs_of(run)


def test_only_the_step_that_the_node_cannot_follow_lets_the_queue_grow():
    jobs = [(10.0 * n, 10.0 * n, 10.0 * n + 8) for n in range(6)]
    jobs += [(60 + 4.0 * n, 60 + 8.0 * n, 68 + 8.0 * n) for n in range(15)]
    run = run_of(jobs, run=SATURATION, loads=[(60, 0.8), (60, 2.0)])

    assert [step["grows"] for step in steps_of(run, jobs_of(run))] == [False, True]
    assert [step["offered_per_minute"] for step in steps_of(run, jobs_of(run))] == [6, 15]


def test_the_saturated_window_is_the_longest_time_with_a_video_that_waits():
    waiting = [0, 1, 1, 0, 2, 3, 3, 1, 0]
    samples = [{"at": float(at), "waiting": number} for at, number in enumerate(waiting)]

    assert saturated_window({"samples": samples}) == (4.0, 7.0)
    assert saturated_window({"samples": samples[:1]}) is None


def test_a_trend_is_the_slope_of_the_queue_in_videos_a_minute():
    assert trend_per_minute([(0, 0), (30, 1), (60, 2)]) == pytest.approx(2)
    assert trend_per_minute([(0, 3), (30, 3), (60, 3)]) == 0


def test_a_number_that_is_looked_at_now_and_then_counts_until_the_next_look():
    assert mean_over_time([(0, 2), (1, 0), (4, 9)]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("usage", "processes", "named"),
    [
        ({"busy_share": 0.97, "iowait_share": 0.0}, 2, "CPU"),
        ({"busy_share": 0.5, "iowait_share": 0.3}, 2, "disco temporal"),
        ({"busy_share": 0.7, "iowait_share": 0.0}, 1, "un solo proceso"),
        ({"busy_share": 0.7, "iowait_share": 0.0}, 4, "ninguno a la vista"),
    ],
)
def test_the_bottleneck_is_what_the_machine_has_no_more_of(usage, processes, named):
    assert bottleneck(usage, processes=processes) == named


def test_arrivals_are_even_within_a_step_and_follow_its_load():
    times = list(arrivals([(60, 0.5), (60, 1.5)], videos_per_minute=6))

    assert times[:4] == [0, 20, 40, pytest.approx(60)]
    assert len(times) == 12
    assert times[4] - times[3] == pytest.approx(60 / 9)


def test_a_worker_s_line_tells_when_a_video_was_started():
    line = json.dumps({"time": "2026-11-26T10:00:00.500000+00:00", "event": "claimed", "request_id": "50mb-1p-0001"})

    found = logged_event(line, by="worker-1")

    assert found == {"event": "started", "id": "50mb-1p-0001", "at": 1795687200.5, "by": "worker-1"}
    assert logged_event('{"event": "progress", "request_id": "x", "time": ""}', by="worker-1") is None
    assert logged_event("Traceback", by="worker-1") is None


def test_the_summary_has_the_cells_that_both_runs_were_made_of(tmp_path):
    whole, half = CELLS[0], CELLS[1]
    saturation = run_of(overloaded(), run=SATURATION, loads=[(150, 2.0)])
    raw.write(tmp_path / whole.file(SATURATION), saturation)
    raw.write(tmp_path / whole.file(SUSTAINED), run_of(steady(), run=SUSTAINED, loads=[(240, 0.8)]))
    raw.write(tmp_path / half.file(SATURATION), saturation)

    found = summarise(tmp_path)

    assert list(found["cells"]) == [whole.name]
    assert found["totals"]["videos"] == 54
    assert found["totals"]["best"]["name"] == whole.name
    assert found["state"] == "provisionales: faltan celdas"


def test_figures_of_shorter_runs_or_a_shared_machine_are_told_to_be_no_capacity():
    cells = {cell.name: {SATURATION: {"usage": {"others_share": 0.01}}} for cell in CELLS}
    full = {"lengths": FULL.to_json()}

    assert state([full], cells) == "definitivos"
    assert "más cortas" in state([full, {"lengths": {}}], cells)
    cells[CELLS[0].name][SATURATION]["usage"]["others_share"] = 0.2
    assert "otros programas" in state([full], cells)


def test_the_cpu_of_one_process_predicts_what_more_of_them_can_do():
    def cell(processes, videos_per_minute):
        usage = {"machine_cores": 2.0, "cpu_seconds_per_video": {"ffmpeg": 19.0, "worker": 1.0}}
        saturated = {"usage": usage, "videos_per_minute": videos_per_minute}
        return {"megabytes": 50, "processes": processes, SATURATION: saturated}

    [found] = predictions({"50mb-1p": cell(1, 5.0), "50mb-2p": cell(2, 5.7)})

    assert found["ceiling_per_minute"] == 6
    assert found["share"] == pytest.approx(0.95)


def test_pipelines_are_compared_by_rounds_so_that_a_slow_minute_slows_both():
    side = {"cpu_seconds": 20.0, "output_bytes": 5e6}
    rounds = [
        {"worker": {**side, "wall_seconds": ours}, "usual": {**side, "wall_seconds": theirs}}
        for ours, theirs in ((10.0, 30.0), (20.0, 60.0), (10.0, 35.0))
    ]
    steps = [{"decode": 2.0, "filter": 5.0}]
    clip = {"rounds": rounds, "anatomy": steps, "vmaf": {"worker": [95.0, 93.0], "usual": [90.0, 90.0]}}

    found = compared(clip)

    assert found["times_faster"] == 3
    assert found["worker"]["videos_per_minute"] == 6
    assert found["usual"]["vmaf"] == pytest.approx(90)
    assert found["cpu_seconds"] == {"decoding": 2, "filters": 3, "encoding": 15}


def test_a_run_of_other_lengths_is_made_again(tmp_path):
    path = tmp_path / CELLS[0].file(SATURATION)
    raw.write(path, run_of(steady(), run=SATURATION, loads=[(240, 0.8)]))

    assert worker.is_measured(path, FULL)
    assert not worker.is_measured(path, Lengths(**{**vars(FULL), "step_seconds": 5}))
    assert not worker.is_measured(tmp_path / "missing.json.gz", FULL)


def test_an_interrupted_measurement_goes_on_after_the_last_run_that_was_made(tmp_path, monkeypatch):
    made: list[tuple[str, str, float]] = []

    def fake_run(_node, cell, run, _lengths, *, warm_up, videos_per_minute):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append((cell.name, run, videos_per_minute))
        assert run == SUSTAINED or videos_per_minute == warm_up
        jobs, loads = (overloaded(), [(150, 2.0)]) if run == SATURATION else (steady(), [(240, 0.8)])
        return run_of(jobs, run=run, loads=loads)

    monkeypatch.setattr(worker, "clip", lambda _megabytes: tmp_path)
    monkeypatch.setattr(worker, "running_node", lambda *_, **__: nullcontext())
    monkeypatch.setattr(worker, "_warm_up", lambda *_: 3.0)
    monkeypatch.setattr(worker, "_run", fake_run)
    with pytest.raises(KeyboardInterrupt):
        worker.measure(tmp_path, CELLS[:2], FULL)
    before = list(made)
    made.clear()

    worker.measure(tmp_path, CELLS[:2], FULL)

    assert [name for name, *_ in before] == [CELLS[0].name, CELLS[0].name, CELLS[1].name]
    assert [(name, run) for name, run, _ in made] == [(CELLS[1].name, SUSTAINED)]
    assert made[0][2] == pytest.approx(6, rel=0.03), "the sustained run loads what the saturation run came to"
