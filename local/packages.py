"""Finds the system programs that Python packages do not carry: MariaDB, nginx and, for tests, Chromium and
debootstrap.

What is not on PATH is taken from the distribution's packages and unpacked below `.local/packages`. Unpacked,
not installed: that needs no root, and Debian's nginx package would start a server on port 80.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.sax.saxutils import escape

from local.errors import ProgramMissing

STORE = Path(__file__).resolve().parent.parent / ".local" / "packages"
PACKAGES = {
    "mariadbd": "mariadb-server-core",
    "nginx": "nginx",
    "chromium": "chromium",
    "debootstrap": "debootstrap",
}
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # servers live there; users' PATHs often do not have them


@dataclass(frozen=True, kw_only=True)
class Program:
    """An executable, and what it needs to run from where it lies."""

    path: Path
    prefix: Path
    """The folder that holds its `bin` or `sbin`, and its `share`."""
    environment: Mapping[str, str] = field(default_factory=dict)


def find(*names: str) -> dict[str, Program]:
    """Each named program, unpacking first what is missing; raises ProgramMissing."""
    found = {name: _installed(name) or _unpacked(name) for name in names}
    missing = [name for name, program in found.items() if program is None]
    if missing:
        _unpack({PACKAGES[name] for name in missing})
        found |= {name: _unpacked(name) for name in missing}
    return {name: program or _refuse(name, "its package does not hold it") for name, program in found.items()}


def _installed(name: str) -> Program | None:
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS)))
    if path is None:
        return None
    return Program(path=Path(path), prefix=Path(path).resolve().parent.parent)


def _unpacked(name: str) -> Program | None:
    prefix = _folder(PACKAGES[name]) / "usr"
    # A package's own folder comes first: Chromium's file in bin is a script that looks for it below /usr
    for path in (prefix / "lib" / name / name, prefix / "sbin" / name, prefix / "bin" / name):
        if path.is_file():
            return Program(path=path, prefix=prefix, environment=_environment(prefix))
    return None


def _environment(prefix: Path) -> dict[str, str]:
    environment = {"LD_LIBRARY_PATH": _library_path(prefix)}
    if not Path("/etc/fonts").exists() and (prefix.parent / "etc" / "fonts").exists():
        environment["FONTCONFIG_FILE"] = str(_fonts(prefix.parent))
    return environment


def _fonts(root: Path) -> Path:
    """Where fontconfig reads which fonts were unpacked; with FONTCONFIG_SYSROOT, Debian 12's finds none."""
    description = root / "fonts.conf"
    description.write_text(
        f"<fontconfig><dir>{escape(str(root))}/usr/share/fonts</dir><cachedir>{escape(str(root))}/var/cache/fontconfig"
        f'</cachedir><include ignore_missing="yes">{escape(str(root))}/etc/fonts/conf.d</include></fontconfig>\n'
    )
    return description


def _library_path(prefix: Path) -> str:
    root = prefix.parent
    folders = sorted({library.parent for library in root.glob("**/lib/**/*.so*")})
    return os.pathsep.join(str(folder) for folder in folders)


def _folder(package: str) -> Path:
    """Where a package is unpacked; by system, since its libraries come from there."""
    return STORE / _system() / package


def _system() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return f"{sys.platform}-{platform.machine()}"
    return f"{release['ID']}-{release.get('VERSION_ID', 'rolling')}-{platform.machine()}"


def _unpack(packages: set[str]) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        _refuse(", ".join(sorted(packages)), "there is no apt-get to fetch it with")
    with _locked():
        missing = sorted(package for package in packages if not _folder(package).exists())
        if not missing:
            return
        names = ", ".join(missing)
        print(f"setup: fetching {names} from the network, to unpack below .local (once)", file=sys.stderr, flush=True)
        with _apt() as apt:
            apt.update()
            for package in missing:
                apt.unpack(package, into=_folder(package))


@contextmanager
def _locked() -> Iterator[None]:
    """One at a time, across processes."""
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class _Apt:
    """apt-get with lists and cache of its own, so that it works for anybody; what is installed it still knows."""

    folder: Path

    def update(self) -> None:
        """Fetch the lists of packages; one of several sources may be away."""
        self._run("update")
        if not any((self.folder / "state" / "lists").glob("*Packages*")):
            _refuse("a system program", "no list of packages could be fetched; the first run needs the network")

    def unpack(self, package: str, *, into: Path) -> None:
        """Lay out a package and what it needs that is not installed; `into` appears whole or not at all."""
        archives = self.folder / "cache" / "archives"
        self._run("install", "--yes", "--no-install-recommends", "--download-only", package, missing=package)
        staging = self.folder / package
        staging.mkdir()
        for archive in archives.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", archive, staging], check=True)
            archive.unlink()
        into.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(into)

    def _run(self, *arguments: str, missing: str = "a system program") -> None:
        done = subprocess.run(
            ["apt-get", "--quiet=2", *self._options(), *arguments],
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
            _refuse(missing, " ".join(errors) or f"apt-get ended with exit status {done.returncode}")

    def _options(self) -> Iterator[str]:
        for option in (
            f"Dir::State={self.folder}/state",
            "Dir::State::status=/var/lib/dpkg/status",
            f"Dir::Cache={self.folder}/cache",
            "APT::Sandbox::User=root",  # its usual user may not enter our folder
            "Debug::NoLocking=1",  # the locks are the system's and nothing is installed
            "Acquire::Languages=none",
            "Acquire::Retries=2",
        ):
            yield "-o"
            yield option


@contextmanager
def _apt() -> Iterator[_Apt]:
    folder = STORE / "apt"
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    try:
        yield _Apt(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse(name: str, reason: str) -> NoReturn:
    # Only tests want the browser and the bare machine
    programs, packages = (
        ("it", name) if name in {"chromium", "debootstrap"} else ("MariaDB and nginx", "mariadb-server-core nginx")
    )
    raise ProgramMissing(
        f"{name} is missing and could not be unpacked ({reason}); install {programs}, "
        f"for example: sudo apt-get install --no-install-recommends {packages}"
    )
