"""Runs the README's two commands on a bare machine: a minimal Debian, and a user who may nothing.

Usage: [TESTS="folder…"] python -m scripts.fresh_machine RELEASE…    (Debian's numbers: 12, 13)

The machine is a folder that debootstrap fills from Debian's packages; it is gone afterwards, and so is whatever ran
in it. It shares this machine's network, and its settings for apt, pip, uv and npm: machines behind mirrors need them.

Runs before there is any environment: the standard library alone, and no click.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from local import packages
from local.errors import CannotRun
from local.loopback import ADDRESS, status

ROOT = Path(__file__).resolve().parent.parent
CODENAMES = {"12": "bookworm", "13": "trixie"}
INCLUDED = ("ca-certificates", "git", "make", "python3", "python3-venv")
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
USER = "ana"
FOLDER = f"/home/{USER}/anb"
MAX_START_SECONDS = 180
MAX_STOP_SECONDS = 10
MAX_TESTS_SECONDS = 30 * 60

SETTINGS = re.compile(
    r"(PIP|UV|NPM_CONFIG)_\w+|\w+_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|NODE_EXTRA_CA_CERTS",
    re.IGNORECASE,
)
NPM_SETTINGS = "/etc/npmrc"
SETTINGS_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/pip.conf", "/etc/xdg/pip", "/etc/uv", NPM_SETTINGS)
ENVIRONMENT = {
    "HOME": f"/home/{USER}",
    "USER": USER,
    "SHELL": "/bin/bash",
    "TERM": "dumb",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}
# With the first process of a space of its own end the others, and the mounts
SPACE = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child")
ENTER = """
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
chroot "$root" setpriv --reuid=1000 --regid=1000 --init-groups --inh-caps=-all "$@"
"""


class Failed(Exception):
    """A command did not do on the bare machine what the README says."""


def main(releases: Sequence[str]) -> int:
    """Try each release; the exit status."""
    if os.geteuid() != 0:
        print("fresh: skipped, since only root can build a bare machine")
        return 0
    if unknown := set(releases) - set(CODENAMES):
        print(f"fresh: RELEASE is {' '.join(unknown)}, and has to be {' or '.join(CODENAMES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave in order, as Ctrl-C does
    try:
        for release in releases:
            try_release(release)
    except (Failed, CannotRun) as reason:
        print(f"fresh: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def try_release(release: str) -> None:
    """Build the machine and run both commands in it; raises Failed."""
    with bare_machine(release) as machine:
        begun = time.monotonic()
        run_until_ready(machine)
        print(
            f"fresh: Debian {release}: make run was ready and has stopped, after {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        begun = time.monotonic()
        tests = os.environ.get("TESTS")
        chosen = [f"TESTS={tests}"] if tests else []
        with machine.started("make", "test", *chosen) as test:
            ended = test.wait(MAX_TESTS_SECONDS)
        if ended != 0:
            raise Failed(f"Debian {release}: make test ended with exit status {ended}")
        print(f"fresh: Debian {release}: make test passed, after {time.monotonic() - begun:.0f} s", flush=True)


@dataclass(frozen=True)
class Machine:
    """A minimal Debian with this checkout's last commit in the home of an ordinary user."""

    root: Path
    environment: dict[str, str]

    @contextmanager
    def started(self, *command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command as the user, in the checkout, in a process group of its own; nothing of it is left."""
        variables = [f"{name}={value}" for name, value in {**self.environment, **settings}.items()]
        inside = ("env", "--ignore-environment", f"--chdir={FOLDER}", *variables, *command)
        process = subprocess.Popen(
            [*SPACE, "sh", "-ec", ENTER, "sh", str(self.root), *inside],
            env={**os.environ, "PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        except subprocess.TimeoutExpired as reason:
            raise Failed(f"{' '.join(command)} was not over after {reason.timeout:.0f} s") from None
        finally:
            process.kill()
            process.wait()


def run_until_ready(machine: Machine) -> None:
    """Have `make run` answer, and stop it as Ctrl-C does."""
    port = free_port()
    with machine.started("make", "run", PORT=str(port)) as run:
        deadline = time.monotonic() + MAX_START_SECONDS
        while status(port, "/readyz") != HTTPStatus.OK:
            if run.poll() is not None:
                raise Failed(f"make run ended by itself, with exit status {run.returncode}")
            if time.monotonic() > deadline:
                raise Failed(f"make run was not ready within {MAX_START_SECONDS} s")
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGINT)
        run.wait(MAX_STOP_SECONDS)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server((ADDRESS, 0)) as server:
        port: int = server.getsockname()[1]
    return port


# --- how a bare machine is made -----------------------------------------------------------------------------


@contextmanager
def bare_machine(release: str) -> Iterator[Machine]:
    """Build the machine, and remove it afterwards."""
    (ROOT / "build").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"debian-{release}-", dir=ROOT / "build"))
    try:
        begun = time.monotonic()
        folder.chmod(0o755)  # the user has to get to what is below
        root = folder / "root"
        bootstrap(CODENAMES[release], root, log=folder / "log")
        environment = hand_settings(root)
        settle(root)
        print(f"fresh: Debian {release} was built, after {time.monotonic() - begun:.0f} s", flush=True)
        yield Machine(root, environment)
    finally:
        shutil.rmtree(folder)


def bootstrap(codename: str, root: Path, *, log: Path) -> None:
    program = packages.find("debootstrap")["debootstrap"]
    environment = {**os.environ, "DEBOOTSTRAP_DIR": str(program.prefix / "share" / "debootstrap"), "LC_ALL": "C"}
    environment["PATH"] = f"{SYSTEM_PATH}:{program.prefix / 'bin'}"  # unpacked, it has its wget there
    with log.open("wb") as output:
        done = subprocess.run(
            [*SPACE, program.path, "--variant=minbase", f"--include={','.join(INCLUDED)}", codename, root, *mirror()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise Failed(f"debootstrap could not build {codename}: {log.read_text(errors='replace').strip()[-500:]}")


def mirror() -> list[str]:
    """Return where this machine has Debian's packages from; nothing where it has another system's."""
    sources = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    found = subprocess.run(
        [*sources, "Origin: Debian", "Label: Debian"], capture_output=True, text=True, check=False
    ).stdout.split()
    return [uri for uri in found if uri.startswith(("http://", "https://"))][:1]


def hand_settings(root: Path) -> dict[str, str]:
    """Give the machine what lets this one reach its packages; return the environment of its user."""
    settings = {name: value for name, value in os.environ.items() if SETTINGS.fullmatch(name)}
    for path in (*SETTINGS_FILES, *settings.values()):
        source, target = Path(path), root / path.lstrip("/")
        if source.is_dir() and path in SETTINGS_FILES:
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_absolute() and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    if Path(NPM_SETTINGS).exists():  # where the environment's npm does not look by itself
        settings = {"NPM_CONFIG_GLOBALCONFIG": NPM_SETTINGS, **settings}
    transport = subprocess.run(
        ["apt-config", "dump"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    wanted = "\n".join(line for line in transport if line.startswith("Acquire::http"))
    (root / "etc" / "apt" / "apt.conf.d" / "90machine").write_text(f"{wanted}\n")
    return {**ENVIRONMENT, **settings}


def settle(root: Path) -> None:
    """Give the machine its user, with the last commit of this checkout."""
    home = root / FOLDER.lstrip("/")
    commands: tuple[list[str | Path], ...] = (
        ["chroot", root, "useradd", "--create-home", "--uid=1000", "--user-group", "--shell=/bin/bash", USER],
        ["git", "clone", "--quiet", ROOT, home],
        ["chown", "--recursive", "1000:1000", home],
    )
    for command in commands:
        subprocess.run(command, check=True, env={**os.environ, "PATH": SYSTEM_PATH})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [*CODENAMES]))
