"""What an ffmpeg that stalls, dawdles or dies does to its video, to its worker and to the videos behind it."""

import stat
import sys

import pytest

from anb.lifecycle import MAX_CRASHES, POISON
from anb.models import Status
from anb_worker.sandbox import Limits

# The first look at a clip has no -progress and passes; the encoding, which has, is what goes wrong
STALLS = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('frame=1', flush=True); time.sleep(60)"
)
DAWDLES = "import time\nfor n in range(600): print(f'frame={n}', flush=True); time.sleep(0.1)"
IS_KILLED = "import os, signal; print('frame=1', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
RUNS_OUT_OF_MEMORY = "import sys; sys.exit(256 - 12)"
ACCIDENTS = [STALLS, DAWDLES, IS_KILLED, RUNS_OUT_OF_MEMORY]
QUICK = Limits(stall_seconds=1, wall_seconds=3, grace_seconds=0.2)
NAMES = ["stalls", "dawdles", "is killed", "runs out of memory"]


@pytest.fixture
def ffmpeg():
    """ffmpeg's place, which `undo` gives back to it."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def fake_ffmpeg(tmp_path, ffmpeg):
    """Put a program in ffmpeg's place."""

    def install(code):
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!{sys.executable}\nimport sys\nif '-progress' not in sys.argv: sys.exit(1)\n{code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        ffmpeg.setenv("IMAGEIO_FFMPEG_EXE", str(path))

    return install


@pytest.fixture
def work(make_worker, jobs, any_clip_will_do):  # noqa: ARG001 for the rules that it makes
    """Let a worker handle one message."""

    def once(limits=Limits()):
        make_worker(limits=limits).handle(jobs.receive(wait_seconds=2))

    return once


def test_a_minute_without_a_frame_is_a_stall():
    assert Limits().stall_seconds == 60
    assert Limits().wall_seconds > Limits().stall_seconds


@pytest.mark.parametrize("accident", ACCIDENTS, ids=NAMES)
def test_an_ffmpeg_that_goes_wrong_is_a_crash_and_the_video_waits_for_another_attempt(
    fake_ffmpeg, enqueue, short_clip, work, row, jobs, tmp_path, accident
):
    fake_ffmpeg(accident)
    video = enqueue(short_clip)

    work(QUICK)

    assert (row(video).status, row(video).crashes, row(video).lease_until) == (Status.UPLOADED, 1, None)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert jobs.backlog() == 1
    assert jobs.receive(wait_seconds=0) is None  # it comes back after a pause


@pytest.mark.parametrize("accident", ACCIDENTS, ids=NAMES)
def test_three_of_them_fail_the_video_with_a_reason_and_nothing_is_left(
    fake_ffmpeg, enqueue, short_clip, work, row, keys, tmp_path, accident
):
    fake_ffmpeg(accident)
    video = enqueue(short_clip)
    for _ in range(MAX_CRASHES):
        work(QUICK)
        enqueue(video=video)  # instead of waiting for the message that was put off

    work(QUICK)

    assert (row(video).status, row(video).error, row(video).attempt) == (Status.FAILED, POISON, MAX_CRASHES)
    assert len(keys()) == 1  # the source, for whoever looks into it
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_videos_behind_a_poisoned_one_are_processed_meanwhile(
    fake_ffmpeg, enqueue, short_clip, work, row, ffmpeg
):
    fake_ffmpeg(IS_KILLED)
    poisoned = enqueue(short_clip)
    work()
    ffmpeg.undo()
    healthy = enqueue(short_clip)

    work()

    assert (row(poisoned).status, row(healthy).status) == (Status.UPLOADED, Status.PROCESSED)


def test_a_crash_is_forgiven_when_a_later_attempt_succeeds(fake_ffmpeg, enqueue, short_clip, work, row, ffmpeg):
    fake_ffmpeg(IS_KILLED)
    video = enqueue(short_clip)
    work()
    ffmpeg.undo()
    enqueue(video=video)

    work()

    assert (row(video).status, row(video).attempt) == (Status.PROCESSED, 2)
