"""`make run` and `make demo` end when they are told to, whenever that is, and leave nothing behind."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from local.loopback import is_free
from local.state import State
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
CTRL_C = b"\x03"
ENDS_WITHIN_SECONDS = 10
OWN = {".git", ".local", "build", "local"}  # of each checkout


class Terminal:
    """A command behind a terminal of its own, with somebody who reads it."""

    def __init__(self, *command: str, folder: Path, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=folder,
            env=os.environ | environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_for(self, text: str, *, within_seconds: float = 90) -> None:
        until(lambda: text in self.text or not self._reader.is_alive(), seconds=within_seconds)
        assert text in self.text, self.text

    def wait_for_end(self, *, within_seconds: float = ENDS_WITHIN_SECONDS) -> int:
        try:
            status = self.process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within_seconds} s: {self.text}")
        self._reader.join(5)
        return status

    def close(self) -> None:
        self.process.wait(5)
        self._reader.join(5)
        os.close(self._ours)

    def _read(self) -> None:
        try:
            while content := os.read(self._ours, 65536):
                self.text += content.decode(errors="replace")
        except OSError:
            return  # nobody is at the other end any more


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environments and system programs are there already, and that has a state of its own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in OWN:
            (folder / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "local", folder / "local")
    packages = ROOT / ".local" / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    (folder / ".local").mkdir(mode=0o700)
    (folder / ".local" / "packages").symlink_to(packages)
    return folder


@pytest.fixture
def port(tmp_path: Path) -> int:
    return State(tmp_path / "port").port("test")


@pytest.fixture
def start(checkout: Path, port: int) -> Iterator[Callable[..., Terminal]]:
    terminals = []

    def start(*command: str, **environment: str) -> Terminal:
        terminals.append(Terminal(*command, folder=checkout, PORT=str(port), **environment))
        return terminals[-1]

    yield start
    for pid in processes_of(checkout):
        os.kill(pid, signal.SIGKILL)
    for terminal in terminals:
        terminal.close()


def processes_of(folder: Path) -> dict[int, str]:
    """What runs in a checkout or with its files: process ids and command lines."""
    mark, found = str(folder).encode(), dict[int, str]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            command = seen((entry / "cmdline").read_bytes)
            cwd = seen(partial(os.readlink, bytes(entry / "cwd")))
            environment = seen((entry / "environ").read_bytes)
            if command and mark in command + cwd + environment:
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def seen(look: Callable[[], bytes]) -> bytes:
    """What /proc shows; nothing where a process has ended, is none of ours, or is undumpable as workers are."""
    try:
        return look()
    except OSError:
        return b""


def freeze(folder: Path, part: str) -> None:
    """Keep the processes whose command line says `part` from doing anything."""
    pids = [pid for pid, command in processes_of(folder).items() if part in command]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def assert_nothing_is_left(folder: Path) -> None:
    until(lambda: not processes_of(folder), seconds=2, what=lambda: str(processes_of(folder)))
    assert all(is_free(int(file.read_text())) for file in (folder / ".local").glob("ports/*"))
    with State(folder / ".local").locked():
        pass


STARTING, RUNNING = "ready for connections", "stop  "


@pytest.mark.parametrize("line", [STARTING, RUNNING], ids=["starts", "runs"])
def test_ctrl_c_ends_make_run_while_it(start, checkout, line):
    terminal = start("make", "run")
    terminal.wait_for(line)

    terminal.press(CTRL_C)

    terminal.wait_for_end()
    assert "stopping…" in terminal.text
    assert "***" not in terminal.text
    assert "Traceback" not in terminal.text
    assert_nothing_is_left(checkout)


def test_a_part_that_hangs_does_not_keep_make_run_from_ending(start, checkout):
    terminal = start("make", "run")
    terminal.wait_for(RUNNING)
    freeze(checkout, "anb_worker")
    freeze(checkout, "/.local/database/")

    terminal.press(CTRL_C)

    terminal.wait_for_end()
    assert_nothing_is_left(checkout)


def test_a_second_ctrl_c_ends_make_run_at_once(start, checkout):
    terminal = start("make", "run")
    terminal.wait_for(RUNNING)
    freeze(checkout, "anb_worker")

    terminal.press(CTRL_C)
    terminal.wait_for("stopping…", within_seconds=5)
    terminal.press(CTRL_C)

    terminal.wait_for_end(within_seconds=4)
    assert_nothing_is_left(checkout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_script_runs_in_the_background_ends_by(start, checkout, number):
    # A script's shell starts such commands with SIGINT ignored; it outlives the signal here, lest its end hang up
    terminal = start("sh", "-c", "trap : INT TERM; make run & wait; wait")
    terminal.wait_for(RUNNING)

    os.killpg(terminal.process.pid, number)

    until(
        lambda: not processes_of(checkout),
        seconds=ENDS_WITHIN_SECONDS,
        what=lambda: f"{processes_of(checkout)} {terminal.text}",
    )
    assert "stopping…" in terminal.text
    assert "Shutdown complete" in terminal.text  # of the database: it was not killed
    assert_nothing_is_left(checkout)


def test_ctrl_c_ends_make_run_while_programs_are_fetched(start, checkout, tmp_path):
    (checkout / ".local" / "packages").unlink()
    fetcher = tmp_path / "bin" / "apt-get"
    fetcher.parent.mkdir()
    fetcher.write_text("#!/bin/sh\nsleep 60\n")
    fetcher.chmod(0o755)
    only = [fetcher.parent, *(Path(folder) for folder in ("/usr/bin", "/bin"))]
    terminal = start("make", "run", PATH=os.pathsep.join(map(str, only)))
    until(lambda: any("apt-get" in each for each in processes_of(checkout).values()), seconds=30)

    terminal.press(CTRL_C)

    terminal.wait_for_end()
    assert "stopping…" in terminal.text
    assert "Traceback" not in terminal.text
    assert_nothing_is_left(checkout)


def test_ctrl_c_ends_the_setup(start, checkout):
    (checkout / ".venv").unlink()
    terminal = start("make", "run", PYTHON=sys.executable)
    terminal.wait_for("setup: ")

    terminal.press(CTRL_C)

    assert terminal.wait_for_end() != 0
    assert "stopping…" in terminal.text
    # What make itself says of its end differs: a child may end before make has seen the same signal
    said = terminal.text.partition("stopping…")[2].split("\r\n")
    assert [line for line in said if line and not line.startswith("make")] == []
    assert not (checkout / ".venv" / ".installed").exists()
    assert_nothing_is_left(checkout)


def test_signals_end_a_setup_that_a_script_started(start, checkout):
    (checkout / ".venv").unlink()
    terminal = start("sh", "-c", "trap : INT TERM; make setup & wait; wait", PYTHON=sys.executable)
    until(lambda: any("-m venv" in each for each in processes_of(checkout).values()), seconds=30)

    os.killpg(terminal.process.pid, signal.SIGINT)

    until(
        lambda: not processes_of(checkout),
        seconds=ENDS_WITHIN_SECONDS,
        what=lambda: f"{processes_of(checkout)}",
    )
    until(lambda: "stopping…" in terminal.text, what=lambda: terminal.text)  # read by a thread of its own


def test_ctrl_c_ends_make_demo_while_it_makes_clips(start, checkout):
    terminal = start("make", "demo")
    until(lambda: any("ffmpeg" in each for each in processes_of(checkout).values()), seconds=60)

    terminal.press(CTRL_C)

    terminal.wait_for_end()
    assert "stopping…" in terminal.text
    assert "Traceback" not in terminal.text
    assert_nothing_is_left(checkout)


def test_ctrl_c_ends_make_demo_while_clips_are_processed(start, checkout):
    terminal = start("make", "demo")
    terminal.wait_for("players from")
    until(
        lambda: any(
            "anb_worker" not in each and "ffmpeg" in each and "body" in each
            for each in processes_of(checkout).values()
        ),
        seconds=60,
    )

    terminal.press(CTRL_C)

    terminal.wait_for_end()
    assert "stopping…" in terminal.text
    assert "Traceback" not in terminal.text
    assert_nothing_is_left(checkout)


def test_operators_find_the_system_of_make_run_for_as_long_as_it_runs(start, checkout):
    def status() -> subprocess.CompletedProcess[str]:
        nothing = {"PATH": os.environ["PATH"], "HOME": str(checkout), "AWS_EC2_METADATA_DISABLED": "true"}
        command = [sys.executable, "-m", "ops", "status", "--json"]
        return subprocess.run(command, cwd=checkout, env=nothing, capture_output=True, text=True, check=False)

    terminal = start("make", "run")
    terminal.wait_for(RUNNING)

    found = status()
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["videos"]["uploaded"] == 0

    terminal.press(CTRL_C)
    terminal.wait_for_end()
    assert "No system runs on this machine" in status().stderr
