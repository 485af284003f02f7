"""`/healthz` for the load balancer, `/readyz` for people and deployments."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine, text

from anb.errors import Unavailable
from anb_web.dependencies import dependencies

bp = Blueprint("health", __name__)

CHECK_SECONDS = 2


@bp.get("/healthz")
@bp.get("/health")
@bp.get("/api/health")
def alive() -> ResponseReturnValue:
    """Say that this process serves; a shared part that is away must not have the whole fleet replaced."""
    return {"status": "ok"}


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Say whether database, object store and queue answer, each within 2 s.

    `fields` names those that do not, and what the process had to start without.
    """
    silent = _silent(
        {
            "database": partial(_ping_database, dependencies().engine),
            "object_store": dependencies().storage.ping,
            "queue": dependencies().jobs.ping,
        }
    )
    if silent:
        fields = {**dict.fromkeys(silent, "No responde."), **dict(dependencies().missing)}
        raise Unavailable("Una parte del sistema no responde.", fields=fields)
    return {"status": "ok"}


def _ping_database(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))


def _silent(checks: dict[str, Callable[[], object]]) -> list[str]:
    """Return the names of the checks that fail or take too long; they run side by side."""
    threads = ThreadPoolExecutor(max_workers=len(checks))
    started = {name: threads.submit(check) for name, check in checks.items()}
    # A check that hangs ends by its own time limit; nobody waits for it here
    threads.shutdown(wait=False)
    done, _ = wait(started.values(), timeout=CHECK_SECONDS)
    return [name for name, check in started.items() if check not in done or check.exception()]
