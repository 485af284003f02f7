"""Every load scenario runs against the real processes, and nothing that it asks for fails."""

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = sorted((Path(__file__).parents[2] / "capacity-planning" / "scenarios").glob("*.py"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_runs_without_a_failure(system, scenario):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "--locustfile", scenario, "--host", system.url, "--headless"),
            *("--only-summary", "--users", "5", "--spawn-rate", "5", "--run-time", "6s"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "GET      /api/public/videos" in ran.stdout + ran.stderr
