"""The parts of the demo that judge and show; the demo itself is run by `make demo`."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from anb_worker.processing import process
from demo import contact_sheet, inspection
from demo import run as demo
from demo.clips import SAMPLES, Outcome
from demo.contact_sheet import Row, draw_contact_sheet, moments
from demo.inspection import expected_frames, find_problems, read_file
from demo.journey import PLAYERS, Entry, Journey
from demo.samples import make_sample
from local.loopback import ADDRESS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("source") / "clip.mp4", width=360, height=640, seconds=1)


@pytest.fixture(scope="module")
def processed(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processed")
    process(
        source,
        folder / "clip.mp4",
        thumbnail=folder / "clip.jpg",
        scratch=folder,
        progress=lambda _: None,
        cancelled=lambda: False,
    )
    return folder / "clip.mp4"


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def test_nothing_is_wrong_with_what_the_worker_makes(source, processed):
    assert find_problems(processed, frames=expected_frames(read_file(source))) == []


COPY = ("-c", "copy", "-movflags", "+faststart")
FEW = ("-frames:v", 5, "-preset", "ultrafast", "-movflags", "+faststart")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("-vf", "scale=640:360", *FEW), "it is 640x360"),
        (("-c:v", "libx265", "-x265-params", "log-level=none", *FEW), "it is hevc"),
        (("-f", "lavfi", "-t", 6, "-i", "sine", "-map", 0, "-map", 1, *COPY, "-c:a", "aac"), "it has 2 tracks"),
        (("-c", "copy"), "its index comes after"),
        (("-t", 5, *COPY), "frames and not 180"),
        (("-bsf:v", "setts=ts=TS+gt(N\\,90)*512", *COPY), "steps from one frame to the next"),
        (("-bsf:v", "setts=ts=TS+gt(N\\,90)*7", *COPY), "durations of its frames"),
        (("-r", 25, *FEW), "durations of its frames"),
        (("-aspect", "4:3", *COPY), "its pixels are 3/4 and not square"),
        (("-pix_fmt", "yuv444p", *FEW), "its pixels are yuv444p"),
    ],
)
def test_the_inspection_says_what_is_wrong(processed, tmp_path, change, problem):
    ffmpeg("-i", processed, *change, tmp_path / "wrong.mp4")

    assert problem in "; ".join(find_problems(tmp_path / "wrong.mp4", frames=180))


def test_the_inspection_notices_a_video_that_is_too_long(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=size=64x64:rate=30:duration=36", tmp_path / "long.mp4")

    assert "more than 35" in "; ".join(find_problems(tmp_path / "long.mp4", frames=1080))


def test_the_inspection_notices_pictures_that_cannot_be_decoded(processed, tmp_path):
    content = bytearray(processed.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    (tmp_path / "damaged.mp4").write_bytes(content)

    assert "can be decoded" in "; ".join(find_problems(tmp_path / "damaged.mp4", frames=180))


def test_the_inspection_notices_a_file_that_is_no_video(tmp_path):
    (tmp_path / "text.mp4").write_text("Esto no es un video.\n")

    assert find_problems(tmp_path / "text.mp4", frames=180) == ["it cannot be read: El archivo no es un video MP4."]


def test_the_contact_sheet_shows_bumpers_and_body(processed, tmp_path):
    row = Row(name="portrait", lines=["360x640", "30 fps"], source_size=(360, 640), video=processed, seconds=6)

    draw_contact_sheet([row], tmp_path / "sheet.png")

    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet).astype(int)
    top = contact_sheet.HEADER_HEIGHT + contact_sheet.HEADING_HEIGHT + 10
    cells = [
        pixels[top : top + contact_sheet.FRAME[1], left : left + contact_sheet.FRAME[0]]
        for left in map(contact_sheet._left_of, range(len(contact_sheet.COLUMNS)))
    ]
    for bumper in (cells[0], cells[-1]):
        assert (np.abs(bumper - contact_sheet.ORANGE).max(axis=2) < 40).mean() > 0.05
    for body in cells[1:-1]:
        assert body[:180, 10:90].max() < 40  # black beside the portrait
        assert body[:, 150:230].mean() > 60
        assert body[:180, 290:370].max() < 40  # and on its other side: the watermark lies on the picture
        assert (np.abs(body[8:30, 205:240] - contact_sheet.ORANGE).max(axis=2) < 40).mean() > 0.04


def test_the_contact_sheet_looks_into_each_part_of_a_video():
    assert moments(35) == pytest.approx([1.75, 3.5, 17.5, 31.5, 34.25])
    assert moments(6) == pytest.approx([1.75, 2.75, 3, 3.25, 5.25])


def test_what_a_source_becomes_is_counted_in_frames(source):
    clip = read_file(source)

    assert expected_frames(clip) == 180
    assert expected_frames(replace(clip, duration_seconds=45)) == 1050
    assert inspection.MAX_SECONDS * inspection.FRAMES_PER_SECOND == 1050


@pytest.fixture
def journey(tmp_path):
    """Players who find nobody there."""
    with Journey(f"http://{ADDRESS}:9", samples=tmp_path, sleep=lambda _: None) as journey:
        yield journey


def test_an_api_that_does_not_answer_is_a_problem_of_the_step(journey):
    with journey.noting_problems("sign-up"):
        journey.sign_up()

    assert len(journey.problems) == 1
    assert journey.problems[0].startswith("sign-up: POST /api/auth/signup brought no answer")


def test_another_outcome_or_reason_than_expected_is_a_problem(journey):
    entries = {entry.sample.name: entry for entry in journey.entries}
    journey._finish(entries["landscape-1080p"], Outcome.PROCESSED, "")
    journey._finish(entries["too-short"], Outcome.REFUSED, "El video dura 12,0 segundos; debe durar más.")
    assert journey.problems == []

    journey._finish(entries["square-1080"], Outcome.FAILED, "El video está dañado.")
    journey._finish(entries["too-small-720p"], Outcome.REFUSED, "El archivo no es un video MP4.")

    assert [problem.split(":")[0] for problem in journey.problems] == [
        "square-1080 is failed and should be processed",
        "too-small-720p is refused for another reason than expected",
    ]


def stopped(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("run", "status", "line"),
    [
        (lambda _: [], 0, "all of it held"),
        (lambda _: ["clip.mp4: it has 2 tracks"], 1, "did not hold: clip.mp4: it has 2 tracks"),
        (stopped, 130, "stopped"),
    ],
)
def test_the_exit_status_tells_whether_all_of_it_held(monkeypatch, capsys, tmp_path, run, status, line):
    monkeypatch.setattr(demo._Demo, "run", run)

    assert demo.run(tmp_path) == status
    assert line in capsys.readouterr().out


def test_other_programs_read_what_became_of_each_video(monkeypatch, capsys, tmp_path):
    def run(self):
        self.entries = [Entry(SAMPLES[0], PLAYERS[0], tmp_path / "clip.mp4", video_id="1", outcome=Outcome.PROCESSED)]
        return ["ranking: nobody is in it"]

    monkeypatch.setattr(demo._Demo, "run", run)

    assert demo.run(tmp_path, as_json=True) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["problems"] == ["ranking: nobody is in it"]
    assert [(it["name"], it["outcome"], it["video_id"]) for it in report["videos"]] == [
        (SAMPLES[0].name, "processed", "1")
    ]
    assert "did not hold: ranking" in printed.err


def test_the_tables_fit_a_pipe_that_takes_ascii_alone():
    program = (
        "import sys; from demo.run import _console, _table_of_places;"
        "_console(sys.stdout).print(_table_of_places('Cali', [dict(position=1, name='Mejía', city='Cali', votes=2)]))"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert "Mej?a" in shown


def test_each_sample_has_a_name_of_its_own_and_a_player():
    assert len({sample.file for sample in SAMPLES}) == len(SAMPLES)
    assert {Entry(sample, PLAYERS[0], Path(sample.file)).is_over for sample in SAMPLES} == {False}
