"""The CDK command line, as package-lock.json pins it."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import CannotDeploy, Missing

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "node_modules" / ".bin" / "cdk"
# What has been checked is what is deployed
ASSEMBLY = ROOT / "build" / "cdk" / "deploy"
LOCK = ROOT / "build" / "deploy.lock"
OLDEST_NODE = 20
# Node.js may be the one that our environment brings along; CDK's Python side looks for it on PATH, too
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))


@contextmanager
def exclusive() -> Iterator[None]:
    """Keep others out who would deploy or destroy from this folder; raises CannotDeploy when one is at it."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotDeploy(
                "Another deployment or destruction is running from this folder: wait for it to finish, "
                "then run this again."
            ) from None
        yield


def check_tools(path: str = PATH, program: Path = PROGRAM) -> int:
    """Return Node.js's major version; raise Missing when it or the command line is missing."""
    node = shutil.which("node", path=path)
    if node is None:
        raise Missing(f"Node.js is missing: install Node.js {OLDEST_NODE} or newer and put it on PATH.")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = version.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        raise Missing(f"Node.js is {version or 'broken'}: install Node.js {OLDEST_NODE} or newer.")
    if not program.exists():
        raise Missing("The CDK command line is not installed: run npm ci.")
    return int(major)


def synthesise(settings: Mapping[str, str], *, region: str) -> None:
    """Write the templates to deploy; raise CannotDeploy when the app, which says why, has refused to."""
    context = [word for key, value in settings.items() for word in ("--context", f"{key}={value}")]
    if run("synth", "--quiet", "--output", str(ASSEMBLY), *context, region=region) != 0:
        raise CannotDeploy("There is nothing to deploy yet: mend what is said above, then run this again.")


def deploy(*, region: str) -> None:
    """Deploy what was synthesised; raise CannotDeploy when a stack did not get there."""
    arguments = ("deploy", "--app", str(ASSEMBLY), "--all", "--require-approval", "never", "--progress", "events")
    if run(*arguments, region=region) != 0:
        raise CannotDeploy(
            "The deployment has stopped: the first error above, such as a CREATE_FAILED, says why. "
            "Mend it and run this again, which goes on where it stopped."
        )


def run(*arguments: str, region: str) -> int:
    """Run the command line in the project's folder and return its exit code."""
    environment = os.environ | {
        "PATH": PATH,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": str(OLDEST_NODE),
        "NODE_NO_WARNINGS": "1",
    }
    return subprocess.run([PROGRAM, *arguments, "--no-notices"], cwd=ROOT, env=environment, check=False).returncode
