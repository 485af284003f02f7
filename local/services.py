"""Our own code as processes: migrations, web and worker."""

import sys
from collections.abc import Mapping

from local.database import Database
from local.emulator import Emulator
from local.loopback import ADDRESS, status
from local.state import State
from local.supervisor import Part


def environment(state: State, *, database: Database, emulator: Emulator) -> dict[str, str]:
    """The settings of the services, and nothing else from outside than what every part gets."""
    return {
        **state.environment(),
        **emulator.environment,
        "PYTHONUNBUFFERED": "1",
        "ANB_DATABASE_URL": database.url,
        "ANB_JWT_SECRET": state.secret("jwt"),
        "ANB_SCRATCH_DIR": str(state.folder("scratch")),
    }


def migrations(settings: Mapping[str, str]) -> Part:
    """Brings the schema up to date before anything uses it."""
    return Part(
        name="migrations",
        command=[sys.executable, "-m", "anb", "migrate"],
        environment=settings,
        completes=True,
    )


def web(settings: Mapping[str, str], *, port: int) -> Part:
    """The API."""
    return Part(
        name="web",
        command=[
            sys.executable,
            *("-m", "gunicorn", "--config", "python:anb_web.gunicorn_conf", "anb_web:create_app()"),
        ],
        environment={**settings, "ANB_WEB_BIND": f"{ADDRESS}:{port}"},
        is_ready=lambda: status(port, "/healthz") == 200,
        stop_within_seconds=15,
    )


def worker(settings: Mapping[str, str]) -> Part:
    """Processes videos."""
    return Part(
        name="worker",
        command=[sys.executable, "-m", "anb_worker", "run"],
        environment=settings,
        announces='"event": "ready"',
        stop_within_seconds=30,  # to hand back the video that it has in hand
    )
