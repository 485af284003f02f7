"""Builds what an instance starts from: build/web.zip, build/worker.zip, build/ffmpeg.zip and build/load.zip.

The same sources give the same bytes, wherever and whenever: an unchanged service has an unchanged address in S3
and is not deployed again. An archive holds everything that its machine installs and the hash of each file, so
that nothing but the operating system's own packages comes from elsewhere at boot.

web.zip, worker.zip     boot.sh and what it lays out, wheels, requirements.txt with their hashes, SHA256SUMS
load.zip                wheels of Locust, requirements.txt with their hashes, the scenarios, and what judges them
ffmpeg.zip              the wheel that carries ffmpeg, as it was published; apart, because it is large and rarely new
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from anb import commands

ROOT = Path(__file__).resolve().parent.parent
USERDATA = ROOT / "userdata"
LOCK = ROOT / "requirements.txt"

# Amazon Linux 2023: python3.11 from its own packages, glibc 2.34
PYTHON_VERSION = "3.11"
PLATFORM = "x86_64-manylinux_2_28"
WHEEL_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
ABIS = ("cp311", "abi3", "none")

FFMPEG = "imageio-ffmpeg"  # its wheel holds the program

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
SOURCE_DATE_EPOCH = "315532800"  # the same moment

Files = Mapping[str, bytes]
FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What its artefact holds beside wheels and what every machine needs."""

    name: str
    files: Mapping[str, Path]

    @property
    def projects(self) -> tuple[Path, ...]:
        """The folders of our own packages that it installs."""
        return ROOT / "services" / "anb", ROOT / "services" / self.name, ROOT / "ops"

    @property
    def asked(self) -> tuple[Path, ...]:
        """The files that say what it depends on."""
        return tuple(project / "pyproject.toml" for project in self.projects)

    @property
    def dependencies(self) -> tuple[str, ...]:
        """What uv is asked to resolve."""
        return tuple(map(str, self.asked))


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Something with no package of ours: what a group of the whole tree's dependencies names."""

    name: str

    @property
    def asked(self) -> tuple[Path, ...]:
        """The file that says what it depends on."""
        return (ROOT / "pyproject.toml",)

    @property
    def dependencies(self) -> tuple[str, ...]:
        """What uv is asked to resolve."""
        return ("--group", f"{ROOT / 'pyproject.toml'}:{self.name}")


WEB = Service(name="web", files={"nginx.conf": ROOT / "services" / "web" / "nginx.conf"})
WORKER = Service(name="worker", files={})
LOAD = Tool(name="load")
SCENARIOS = ROOT / "capacity-planning" / "scenarios"
# What the scenarios import and Locust finds in its working folder
JUDGEMENT = [ROOT / "capacity" / name for name in ("__init__.py", "criteria.py", "target.py")]
COMMON = (
    *("boot.sh", "database.sh", "anb.sysusers", "anb.tmpfiles", "anb.logrotate", "cloudwatch-agent.json"),
    "rds-ca.pem",  # from whom the database's certificate must come; what it is a copy of: rds-ca.pem.sha256
)


class CannotBuild(Exception):
    """The artefacts could not be built; the message is for whoever asked for them."""


@click.command()
@click.option("--output", type=FOLDER, default=ROOT / "build", help="Where the archives go.")
@click.option("--cache", type=FOLDER, default=ROOT / "build" / "cache", help="What was downloaded before.")
def build_artefacts(output: Path, cache: Path) -> None:
    """Build the artefacts that instances start from, and say what is in them."""
    build(output, cache=cache)


def build(output: Path, *, cache: Path) -> None:
    """Write the archives to `output`; raises CannotBuild."""
    for service in (WEB, WORKER):
        found = wheelhouse(service, cache) | dict(own_wheel(project) for project in service.projects)
        wheels = {f"wheels/{name}": content for name, content in found.items()}
        ffmpeg = {name: content for name, content in wheels.items() if _project_of(name) == FFMPEG}
        files = {
            **{name: (USERDATA / name).read_bytes() for name in COMMON},
            **{f"units/{unit.name}": unit.read_bytes() for unit in _units(service)},
            **{name: path.read_bytes() for name, path in service.files.items()},
            **{name: content for name, content in wheels.items() if name not in ffmpeg},
            "requirements.txt": _requirements(wheels),
        }
        files["SHA256SUMS"] = _sums(files)
        _deliver(output / f"{service.name}.zip", files)
        if ffmpeg:
            _deliver(output / "ffmpeg.zip", ffmpeg)
    _deliver(output / "load.zip", _load(cache))


def _load(cache: Path) -> Files:
    wheels = {f"wheels/{name}": content for name, content in wheelhouse(LOAD, cache).items()}
    scenarios = {f"scenarios/{path.name}": path.read_bytes() for path in SCENARIOS.glob("*.py")}
    judgement = {f"capacity/{path.name}": path.read_bytes() for path in JUDGEMENT}
    return {**wheels, **scenarios, **judgement, "requirements.txt": _requirements(wheels)}


# --- what others have published -----------------------------------------------------------------------------


def wheelhouse(service: Service | Tool, cache: Path) -> dict[str, bytes]:
    """Return the wheels of everything that the service depends on, as the lock file has it.

    They are kept in `cache` under a name that changes with the lock, the target and what the service asks for.
    """
    asked = [LOCK, *service.asked]
    target = repr((PYTHON_VERSION, PLATFORM, WHEEL_PLATFORMS, ABIS)).encode()
    key = hashlib.sha256(b"".join([target, *(path.read_bytes() for path in asked)])).hexdigest()
    folder = cache / f"wheels-{service.name}-{key[:16]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as name:
            wheels = Path(name) / "wheels"
            _download(_locked(_dependencies(service)), wheels)
            if not folder.exists():  # another build may have been faster
                wheels.replace(folder)
    return {wheel.name: wheel.read_bytes() for wheel in folder.glob("*.whl")}


def _dependencies(service: Service | Tool) -> set[str]:
    """The names of all packages that the service needs on its machine."""
    listed = _run(
        *(_uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python", sys.executable, "--python-version", PYTHON_VERSION, "--python-platform", PLATFORM),
        *("--no-emit-package", "anb", "--constraints", str(LOCK)),
        *service.dependencies,
        task="resolve the dependencies",
    )
    return {_normal(line.partition("==")[0]) for line in listed.splitlines() if "==" in line}


def _locked(names: Collection[str]) -> str:
    """The part of the lock file about those packages, for our one platform."""
    entries = {}
    for entry in re.split(r"\n(?=\S)", LOCK.read_text(encoding="utf-8")):
        requirement, *hashes = entry.replace("\\\n", "\n").split()
        entries[_normal(requirement.partition("==")[0])] = " ".join(
            [requirement, *(word for word in hashes if word.startswith("--hash="))]
        )
    if missing := sorted(set(names) - set(entries)):
        raise CannotBuild(f"requirements.txt does not lock {', '.join(missing)}; run: make lock")
    return "\n".join(entries[name] for name in sorted(names)) + "\n"


def _download(locked: str, folder: Path) -> None:
    folder.mkdir()
    requirements = folder.parent / "requirements.txt"
    requirements.write_text(locked, encoding="utf-8")
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary", ":all:", "--python-version", PYTHON_VERSION, "--implementation", "cp"),
        *(word for tag in WHEEL_PLATFORMS for word in ("--platform", tag)),
        *(word for abi in ABIS for word in ("--abi", abi)),
        *("--require-hashes", "--requirement", str(requirements), "--dest", str(folder)),
        task="download the wheels",
    )


# --- what is ours -------------------------------------------------------------------------------------------


@functools.cache
def own_wheel(project: Path) -> tuple[str, bytes]:
    """Build one of our packages; packed again, because the compressor's output depends on the machine's library."""
    with tempfile.TemporaryDirectory() as folder:
        _run(
            *(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder),
            task=f"build {project.name}",
            folder=project,
        )
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as packed:
            contents = {name: packed.read(name) for name in packed.namelist()}
        write_zip(wheel, contents)
        return wheel.name, wheel.read_bytes()


def _units(service: Service) -> list[Path]:
    units = USERDATA / "units"
    return [unit for folder in ("both", service.name) for unit in (units / folder).iterdir()]


def _requirements(wheels: Files) -> bytes:
    """What pip installs on the machine: each wheel by name, version and hash."""
    lines = []
    for name, content in wheels.items():
        version = Path(name).name.split("-")[1]
        lines.append(f"{_project_of(name)}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    return "".join(sorted(lines)).encode()


def _sums(files: Files) -> bytes:
    """What `sha256sum --check` reads."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


# --- archives -----------------------------------------------------------------------------------------------


def write_zip(path: Path, files: Files) -> None:
    """Write an archive whose bytes depend on names and contents alone.

    Stored, not compressed: wheels are compressed already, and two machines may compress differently.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system = 3  # Unix, on Windows too
            entry.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            archive.writestr(entry, files[name])
    draft.replace(path)


def _deliver(path: Path, files: Files) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_zip(path, files)
    content = path.read_bytes()
    print(f"{path.name}  {len(content) / 1e6:.1f} MB  sha256 {hashlib.sha256(content).hexdigest()}")
    for name in sorted(files):
        print(f"  {len(files[name]):>11,}  {name}")


# --- small things -------------------------------------------------------------------------------------------


def _normal(name: str) -> str:
    """A package's name as indexes compare it: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower().strip()


def _project_of(wheel: str) -> str:
    return _normal(Path(wheel).name.partition("-")[0])


def _uv() -> str:
    """Where uv is: beside our own Python, or on PATH."""
    found = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        raise CannotBuild("uv is missing; run: make setup")
    return found


def _run(*command: str, task: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise CannotBuild(f"could not {task}: {output[-1]}")
    return done.stdout


if __name__ == "__main__":
    errors: dict[type[Exception], int] = {CannotBuild: commands.FAILED}
    sys.exit(commands.run(build_artefacts, program="scripts.build_artefacts", errors=errors))
