"""Our own code as services: migrations, web and worker."""

import sys
from collections.abc import Mapping

from local.database import Database
from local.emulator import Emulator
from local.loopback import ADDRESS, status
from local.state import State
from local.supervisor import Service

# What one player and one address may send, out of the way of tests that send more than people do; they print that
# they raise it
RAISED_LIMITS = {
    "ANB_MAX_OPEN_RESERVATIONS": "100000",
    "ANB_MAX_UPLOADS_AN_HOUR": "100000",
    "ANB_MAX_WAITING_BYTES": str(10**15),
    "ANB_MAX_SIGN_UPS_AN_HOUR_PER_ADDRESS": "1000000",
    "ANB_MAX_VOTES_A_MINUTE_PER_ADDRESS": "1000000",
    "ANB_MAX_VOTES_A_MINUTE_PER_ACCOUNT": "1000000",
}
# What whoever starts the system may choose by the environment
CHOICES = ("ANB_CORS_ORIGINS", *RAISED_LIMITS)


def chosen(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that an environment chooses."""
    return {name: environment[name] for name in CHOICES if name in environment}


def raised_limits() -> str:
    """Return the sentence with which a load test says what it raises."""
    return f"limits raised: {', '.join(f'{name}={value}' for name, value in RAISED_LIMITS.items())}"


def environment(state: State, *, database: Database, emulator: Emulator) -> dict[str, str]:
    """What web and worker run with: nothing from outside but what every service gets."""
    return {
        **state.environment(),
        **emulator.environment,
        "PYTHONUNBUFFERED": "1",
        "ANB_DATABASE_URL": database.url,
        "ANB_JWT_SECRET": state.secret("jwt"),
        "ANB_ADDRESS_SECRET": state.secret("address"),
        "ANB_SCRATCH_DIR": str(state.folder("scratch")),
    }


def migrations(settings: Mapping[str, str]) -> Service:
    """Brings the schema up to date before anything uses it."""
    return Service(
        name="migrations",
        command=[sys.executable, "-m", "anb", "migrate"],
        environment=settings,
        one_shot=True,
    )


def web(settings: Mapping[str, str], *, port: int) -> Service:
    """The API."""
    return Service(
        name="web",
        command=[
            sys.executable,
            *("-m", "gunicorn", "--config", "python:anb_web.gunicorn_conf", "anb_web:create_app()"),
        ],
        environment={**settings, "ANB_WEB_BIND": f"{ADDRESS}:{port}"},
        is_ready=lambda: status(port, "/healthz") == 200,
        stop_within_seconds=15,
    )


def worker(settings: Mapping[str, str]) -> Service:
    """Processes videos."""
    return Service(
        name="worker",
        command=[sys.executable, "-m", "anb_worker", "run"],
        environment=settings,
        ready_text='"event": "ready"',
        stop_within_seconds=30,  # to hand back the video that it has in hand
    )
