"""What a program in the sandbox can and cannot do, with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from anb_worker import sandbox
from anb_worker.failures import Cancelled, Crashed
from anb_worker.sandbox import Limits
from tests.waiting import until

needs = {
    tool: pytest.mark.skipif(tool not in sandbox._working_tools(), reason=f"{tool} does not work here")
    for tool in ("unshare", "setpriv", "prlimit")
}

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
open(sys.argv[1] + ("/parent" if child else "/child"), "w").write(str(os.getpid()))
print("frame=1", flush=True)
time.sleep(60)
"""


def run(tmp_path, code, *arguments, **options):
    return sandbox.run([sys.executable, "-c", code, *map(str, arguments)], folder=tmp_path, **options)


def is_alive(path):
    """Whether the process is still there whose id stands in the file."""
    try:
        os.kill(int(path.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_ends_with_its_own_code_and_error(tmp_path):
    ended = run(tmp_path, "import sys; sys.exit('no good\\nat all')")

    assert (ended.code, ended.errors) == (1, "no good | at all")


def test_frames_are_reported_as_they_come(tmp_path):
    frames: list[int] = []

    run(
        tmp_path,
        "import time\nfor n in range(3): print(f'frame={n}\\nfps=1', flush=True); time.sleep(0.3)",
        on_frame=frames.append,
    )

    assert frames == [0, 1, 2]


def test_a_chatty_program_is_neither_blocked_nor_remembered_whole(tmp_path):
    ended = run(tmp_path, "import sys; sys.stderr.write('x' * 5_000_000 + 'the end')")

    assert ended.errors.endswith("the end")
    assert len(ended.errors) < 100_000


@needs["unshare"]
def test_the_network_is_out_of_reach(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        ended = run(
            tmp_path,
            "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)",
            server.getsockname()[1],
        )

        with pytest.raises(BlockingIOError):
            server.accept()
    assert "unreachable" in ended.errors


def test_nothing_of_our_environment_is_handed_down(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    ended = run(tmp_path, "import os, sys; sys.exit(' '.join(sorted(os.environ)))")

    assert ended.errors == "LC_ALL MALLOC_ARENA_MAX PATH"


def test_an_undumpable_process_is_closed_to_its_own_user():
    # Root may look at everything, so that only the kernel's flag (PR_GET_DUMPABLE) can be asked for everywhere
    code = "import ctypes; from anb_worker import sandbox; libc = ctypes.CDLL(None); print(libc.prctl(3))"
    code += "; sandbox.make_undumpable(); print(libc.prctl(3))"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.split() == ["1", "0"]


@needs["setpriv"]
def test_privileges_cannot_be_gained(tmp_path):
    ended = run(tmp_path, "import sys; sys.exit(open('/proc/self/status').read())")

    assert "NoNewPrivs:\t1" in ended.errors


def test_memory_is_bounded(tmp_path):
    ended = run(tmp_path, "bytearray(2_000_000_000)")

    assert "MemoryError" in ended.errors


def test_memory_is_bounded_without_the_tools(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "_working_tools", lambda: ())

    ended = run(tmp_path, "import time; time.sleep(0.3); bytearray(2_000_000_000)")

    assert "MemoryError" in ended.errors


def test_a_program_that_uses_up_its_time_has_crashed(tmp_path):
    with pytest.raises(Crashed, match=r"SIGXCPU|SIGKILL"):
        run(tmp_path, "while True: pass", limits=Limits(cpu_seconds=1))


def test_a_file_that_grows_too_large_is_cut_short(tmp_path):
    ended = run(
        tmp_path,
        "open('large', 'wb').write(bytes(3_000_000))",
        limits=Limits(file_bytes=1_000_000),
    )

    assert "File too large" in ended.errors
    assert (tmp_path / "large").stat().st_size <= 1_000_000


def test_a_stuck_program_that_is_deaf_to_sigterm_is_killed_with_its_children(tmp_path):
    started = time.monotonic()

    with pytest.raises(Crashed, match="no new frame"):
        run(tmp_path, DEAF, tmp_path, limits=Limits(stall_seconds=1, grace_seconds=0.3))

    assert time.monotonic() - started < 5
    until(lambda: not is_alive(tmp_path / "parent"), seconds=5)
    until(lambda: not is_alive(tmp_path / "child"), seconds=5)


def test_a_program_that_is_too_slow_as_a_whole_is_killed(tmp_path):
    counting = "import time\nfor n in range(600): print(f'frame={n}', flush=True); time.sleep(0.1)"

    with pytest.raises(Crashed, match="not done"):
        run(tmp_path, counting, limits=Limits(wall_seconds=0.6))


def test_a_frozen_program_is_killed(tmp_path):
    freeze = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"

    with pytest.raises(Crashed, match="no new frame"):
        run(tmp_path, freeze, limits=Limits(stall_seconds=0.5, grace_seconds=0.2))


def test_a_cancelled_program_gets_the_chance_to_tidy_up(tmp_path):
    tidy = """
import signal, sys, time
def leave(*_):
    open("tidied", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("frame=1", flush=True)
time.sleep(60)
"""
    seen: list[int] = []

    with pytest.raises(Cancelled):
        run(tmp_path, tidy, on_frame=seen.append, cancelled=lambda: bool(seen))

    assert (tmp_path / "tidied").exists()


def test_what_a_program_leaves_running_is_ended_with_it(tmp_path):
    orphan = """
import os, sys, time
if not os.fork():
    open(sys.argv[1] + "/child", "w").write(str(os.getpid()))
    time.sleep(60)
time.sleep(0.3)
"""

    assert run(tmp_path, orphan, tmp_path).code == 0
    until(lambda: not is_alive(tmp_path / "child"), seconds=5)


def test_a_killed_program_has_crashed(tmp_path):
    with pytest.raises(Crashed, match="SIGKILL"):
        run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


@needs["setpriv"]
def test_a_program_does_not_outlive_a_worker_that_is_killed(tmp_path):
    worker = """
import sys
from pathlib import Path
from anb_worker import sandbox
sandbox.run([sys.executable, "-c", sys.argv[1], sys.argv[2]], folder=Path(sys.argv[2]))
"""
    sleeper = """
import os, sys, time
open(sys.argv[1] + "/parent.new", "w").write(str(os.getpid()))
os.rename(sys.argv[1] + "/parent.new", sys.argv[1] + "/parent")
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", worker, sleeper, str(tmp_path)])
    until((tmp_path / "parent").exists, seconds=5)

    process.send_signal(signal.SIGKILL)
    process.wait()

    until(lambda: not is_alive(tmp_path / "parent"), seconds=5)


def test_a_machine_without_the_tools_is_told_once_and_works(tmp_path, monkeypatch, caplog):
    sandbox._working_tools.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        codes = [run(tmp_path, "pass").code for _ in range(2)]
    finally:
        sandbox._working_tools.cache_clear()

    assert codes == [0, 0]
    assert [record.message.split()[0] for record in caplog.records] == ["unshare", "setpriv", "prlimit", "nice"]
