"""Every load scenario runs against the real processes, and nothing that it asks for fails."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from demo.samples import make_sample

SCENARIOS = Path(__file__).parents[2] / "capacity-planning" / "scenarios"


def run(scenario, *arguments, host):
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "--locustfile", SCENARIOS / scenario, "--host", host, "--headless"),
            *("--only-summary", "--users", "5", "--spawn-rate", "5", "--run-time", "6s", *arguments),
        ],
        cwd=SCENARIOS.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_visitors_run_without_a_failure(system):
    ran = run("visitors.py", host=system.url)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "GET      /api/public/videos" in ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=20, fps=5)


def test_players_upload_in_both_ways_and_the_exit_code_is_that_of_the_criteria(system, clip, tmp_path):
    record = tmp_path / "record.json.gz"

    ran = run(
        "uploads.py",
        *("--video", clip, "--pause-seconds", "1", "--record", record, "--stop-timeout", "60"),
        *("MultipartUploader", "DirectUploader"),
        host=system.url,
    )

    assert record.exists(), ran.stdout + ran.stderr
    samples = json.loads(gzip.decompress(record.read_bytes()))["samples"]
    assert {(one["name"], one["status"]) for one in samples} == {
        ("POST /api/videos/upload", 201),
        ("POST /api/videos/uploads", 201),
        ("POST almacenamiento", 204),
        ("POST /api/videos/uploads/{id}/complete", 201),
    }, Counter((one["name"], one["status"]) for one in samples)
    assert ran.returncode == (0 if "every criterion holds" in ran.stdout else 1)


def test_load_for_somebody_elses_machine_is_refused():
    ran = run("uploads.py", "MultipartUploader", host="http://example.com")

    assert ran.returncode == 2
    assert "example.com is not this machine" in ran.stderr
