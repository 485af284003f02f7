"""Makes a virtual environment that holds exactly what a hash-locked requirements file names.

Usage: python3 -m local.venv FOLDER REQUIREMENTS [PROJECT ...]      the projects are installed too, editable

Runs before there is any environment: the standard library alone, and up to the sentence that Python is too old,
what an older one understands.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local import parent_death, signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".venv" / "bin" / "uv"
OLDEST_PYTHON = (3, 11)
PATIENCE_SECONDS = 3.0  # without news; then we say what we wait for
KILL_AFTER_SECONDS = 5.0  # a system's package manager must not be cut off in the middle

# What pip and uv say when they have reached nobody, rather than been cut off
UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|dns error|tcp connect error|"
    r"client error \(Connect\)|Cannot connect to"
)


class SetupFailed(Exception):
    """There is no environment; the message says why and what to do."""


def main() -> int:
    """Do what the command line says; the exit status."""
    folder, requirements, *projects = sys.argv[1:]
    if "MAKELEVEL" in os.environ:
        parent_death.die_with_parent()
    try:
        with signals.interrupting():
            _check_python()
            _make(ROOT / folder, requirements, projects)
    except SetupFailed as reason:
        print(f"setup: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return signals.INTERRUPTED
    return 0


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise SetupFailed(
            f"Python {sys.version.split()[0]} is too old; install Python 3.11 or newer, "
            "or name one: make PYTHON=python3.12 …"
        )


def _make(folder: Path, requirements: str, projects: Sequence[str]) -> None:
    _say(f"{requirements} -> {folder.name}")
    pip = _pip()
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
    python = str(folder / "bin" / "python")
    if not UV.exists():
        # From the wheel that Python brings: unpacking it first would take longer than all the rest
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "local/uv.txt"]
        _fetch([python, "-m", "pip", "install", *options], environment={"PYTHONPATH": str(pip)})
    uv = [str(UV), "pip", "install", "--quiet", "--python", python]
    _fetch([*uv, "--require-hashes", "-r", requirements])
    _run([*uv, "--no-deps", "--offline", str(pip)])  # for what uv cannot do: download wheels for instances
    if projects:
        editable = [word for project in projects for word in ("--editable", project)]
        _run([*uv, "--no-deps", "--no-build-isolation", "--offline", *editable])


def _pip() -> Path:
    """The wheel of pip that Python brings; Debian keeps it in a package of its own."""
    wheel = _find_pip()
    if wheel is None:
        _install_pip("python{}.{}-venv".format(*sys.version_info))
        wheel = _find_pip()
    if wheel is None:
        raise SetupFailed(f"{sys.executable} cannot make virtual environments: it lies without its ensurepip")
    return wheel


def _find_pip() -> Path | None:
    # Where ensurepip looks for it: distributions name a folder, elsewhere it lies beside it
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")
    return next(iter(sorted(Path(folder).glob("pip-*.whl"))), None)


def _install_pip(package: str) -> None:
    command = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", package]
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if not shutil.which("apt-get") or (sudo and not _works([*sudo, "true"])):
        raise SetupFailed(
            f"{sys.executable} cannot make virtual environments; install {package} first "
            f"(Debian, Ubuntu: sudo apt-get install {package})"
        )
    _say(f"installing Debian's {package} on this machine, since Python cannot make environments without it")
    _fetch([*sudo, "apt-get", "update", "--quiet=2", "-o", "APT::Update::Error-Mode=any"])
    _fetch([*sudo, *command], environment={"DEBIAN_FRONTEND": "noninteractive"})


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


# --- processes --------------------------------------------------------------------------------------------


def _run(command: Sequence[str]) -> None:
    with _started(command, environment={}) as process:
        message = "".join(process.stderr or ())
        if process.wait() != 0:
            raise SetupFailed(f"{Path(command[0]).name} ended with exit status {process.returncode}:\n{message}")


def _fetch(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
    """Run what needs the network; it is given up as soon as it says that it reaches nobody."""
    waiting = threading.Timer(
        PATIENCE_SECONDS, _say, ["still fetching packages; if nothing comes, look at the network (Ctrl-C stops)"]
    )
    waiting.daemon = True
    waiting.start()
    lines = []
    try:
        with _started(command, environment=environment or {}) as process:
            for line in process.stderr or ():
                lines.append(line)
                if UNREACHABLE.search(line):
                    raise SetupFailed(
                        "the packages cannot be fetched, because nothing answers on the network; "
                        "the first run needs it, later ones do not"
                    )
            if process.wait() != 0:
                name = Path(command[0]).name
                raise SetupFailed(f"{name} ended with exit status {process.returncode}:\n{''.join(lines)}")
    finally:
        waiting.cancel()


@contextmanager
def _started(command: Sequence[str], *, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, so that Ctrl-C reaches us alone; it ends with the block."""
    with subprocess.Popen(
        parent_death.dying_with_us(command),
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # what sudo has started is root's
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILL_AFTER_SECONDS)
            return


def _say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
