"""Starts the web tier or a worker as they are, and lets them die, freeze or wait at a named step.

Usage: python -m tests.faults.launcher true|tenth web|worker|ops ARGUMENT ...

The product knows nothing of this: its ports and boundaries are wrapped after they are imported, and each process is
composed with the clock that the first argument names. The folder in ANB_FAULTS holds what shall happen: a file
`ROLE.STEP.SIDE.VIDEO` for each fault, the first and the last of which may be `any`.
"""

import functools
import importlib
import json
import os
import re
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tests.faults import steps
from tests.faults.clocks import CLOCKS
from tests.waiting import within

FOLDER = Path(os.environ["ANB_FAULTS"])
HELD_SECONDS = 300  # the longest that a process waits at a step
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_role = "any"
_clock = CLOCKS["true"]
_current: str | None = None  # the video of the message that the worker received last
_taking = threading.Lock()
# What the open transaction of each of the database's connections is for
_prepared: WeakKeyDictionary[Any, tuple[str, str | None]] = WeakKeyDictionary()


def main() -> None:
    """Become the process that the arguments name."""
    global _role, _clock  # noqa: PLW0603 a process is started once
    clock, _role, *arguments = sys.argv[1:]
    _clock = CLOCKS[clock]
    _install()
    if _role == "web":
        sys.argv = ["gunicorn", *arguments[:-1], "tests.faults.launcher:create_app()"]
        runpy.run_module("gunicorn", run_name="__main__")
    elif _role == "worker":
        sys.exit(importlib.import_module("anb_worker.service").run(_clock.timings, _clock.limits))
    else:
        sys.exit(importlib.import_module("ops.__main__").main(arguments, _clock.timings))


def create_app() -> Any:
    """Return the application that gunicorn serves."""
    web = importlib.import_module("anb_web")
    settings = importlib.import_module("anb_web.settings").WebSettings.from_environment(os.environ)
    dependencies = importlib.import_module("anb_web.dependencies").Dependencies.from_settings(
        settings, _clock.timings
    )
    return web.create_app(settings, dependencies=dependencies)


# --- the steps --------------------------------------------------------------------------------------------


def _install() -> None:
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415 in the process that is to be changed

    from anb.jobs import SqsJobs  # noqa: PLC0415 the same
    from anb.storage import S3Storage  # noqa: PLC0415 the same

    for name in steps.STORAGE_STEPS:
        setattr(S3Storage, name, _crossing(f"storage.{name}", getattr(S3Storage, name)))
    for name in steps.JOBS_STEPS:
        setattr(SqsJobs, name, _crossing(f"jobs.{name}", getattr(SqsJobs, name)))
    for module, names in steps.COMMITS.items():
        for name in names:
            original = getattr(importlib.import_module(module), name)
            _replace(original, _naming(steps.commit(name), original))
    if _role == "worker":
        loop = importlib.import_module("anb_worker.loop")
        _replace(loop.process, _working(loop.process))
    for name, wrapped in (("do_commit", _committing), ("do_rollback", _forgetting)):
        setattr(DefaultDialect, name, wrapped(getattr(DefaultDialect, name)))


def _replace(original: Callable[..., Any], replacement: Callable[..., Any]) -> None:
    """Put a function in the place of another wherever it was imported to."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"anb", "anb_web", "anb_worker"}:
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, replacement)


def _crossing(step: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def crossing(*arguments: Any, **named: Any) -> Any:
        global _current  # noqa: PLW0603 a worker has one job at a time
        video = _video_in(arguments[1:], named)
        cross(step, "before", video)
        result = inner(*arguments, **named)
        if step == "jobs.receive":
            video = _current = _video_in(result)
        cross(step, "after", video)
        return result

    return crossing


def _naming(step: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what the transaction that the function fills is for."""

    @functools.wraps(inner)
    def naming(connection: Any, *arguments: Any, **named: Any) -> Any:
        result = inner(connection, *arguments, **named)
        _prepared[connection.connection.dbapi_connection] = (step, _video_in(arguments, named, result))
        return result

    return naming


def _working(inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def working(*arguments: Any, progress: Callable[[float], None], **named: Any) -> Any:
        video = _current

        def telling(fraction: float) -> None:
            cross("process", "during", video)
            progress(fraction)

        cross("process", "before", video)
        result = inner(*arguments, progress=telling, **named)
        cross("process", "after", video)
        return result

    return working


def _committing(inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def committing(dialect: Any, connection: Any) -> None:
        named = _prepared.pop(connection.dbapi_connection, None)
        if named:
            cross(named[0], "before", named[1])
        inner(dialect, connection)
        if named:
            cross(named[0], "after", named[1])

    return committing


def _forgetting(inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def forgetting(dialect: Any, connection: Any) -> None:
        _prepared.pop(connection.dbapi_connection, None)
        inner(dialect, connection)

    return forgetting


def _video_in(*values: object) -> str | None:
    found = _UUID.search(repr(values))
    return found[0] if found else None


# --- the faults -------------------------------------------------------------------------------------------


def cross(step: str, side: str, video: str | None) -> None:
    """Do what has been ordered for this crossing, if anything has."""
    for role in (_role, "any"):
        for what in dict.fromkeys((video or "any", "any")):
            order = FOLDER / f"{role}.{step}.{side}.{what}"
            if order.exists():
                _obey(order, step, side, video)


def _obey(order: Path, step: str, side: str, video: str | None) -> None:
    taken = order.with_name(f"taken.{os.getpid()}.{threading.get_ident()}")
    with _taking:
        try:
            order.rename(taken)  # of many processes, one obeys
        except FileNotFoundError:
            return
        wanted = json.loads(taken.read_text())
        taken.unlink()
        skip, times = wanted["skip"], wanted["times"]
        left = {**wanted, "skip": max(0, skip - 1), "times": times if skip else times - 1}
        if left["times"]:
            draft = order.with_name(f"draft.{os.getpid()}")
            draft.write_text(json.dumps(left))
            draft.rename(order)
        if skip:
            return
        with (FOLDER / "log").open("a") as log:
            who = {"role": _role, "pid": os.getpid(), "at": time.time()}
            obeyed = {"step": step, "side": side, "video": video, **who, **wanted}
            log.write(json.dumps(obeyed) + "\n")
    if wanted["action"] == "crash":
        os._exit(137)
    elif wanted["action"] == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        _hold(FOLDER / wanted["gate"])


def _hold(gate: Path) -> None:
    """Wait here until the gate is opened."""
    within(HELD_SECONDS, gate.exists)


if __name__ == "__main__":
    # The module that the rest imports and this one must be the same
    sys.modules["tests.faults.launcher"] = sys.modules["__main__"]
    main()
