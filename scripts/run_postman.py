"""`python -m scripts.run_postman` runs the Postman collection with newman, with sample videos.

The samples stay in build/postman, for whoever runs the collection in Postman itself.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from anb import commands
from demo.samples import make_sample
from local.errors import CannotRun
from local.system import running_system

ROOT = Path(__file__).parents[1]
COLLECTIONS = ROOT / "collections"
SAMPLES = ROOT / "build" / "postman"
NEWMAN = ROOT / "node_modules" / ".bin" / "newman"
TOO_MANY_BYTES = 100 * 1024 * 1024 + 1
VALID_BYTES = 16_000_000  # what the collection declares for its direct upload, whose size has to be exact


ERRORS: dict[type[Exception], int] = {CannotRun: commands.MISSING}


@click.command()
@click.option("--base-url", metavar="URL", help="Test this API, which ends in /api, and start nothing.")
def run_postman(base_url: str | None) -> int:
    """Run the Postman collection against a system of its own.

    The exit code is newman's.
    """
    make_samples()
    if base_url:
        return newman(base_url)
    with tempfile.TemporaryDirectory(prefix="postman-") as state, running_system(Path(state)) as system:
        return newman(f"{system.url}/api")


def make_samples() -> None:
    """Make what the collection uploads; few pictures a second keep that fast."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for name, seconds, width, height in (
        ("valido", 21, 1920, 1080),
        ("corto", 12, 1920, 1080),
        ("largo", 75, 1920, 1080),
        ("720p", 21, 1280, 720),
    ):
        path = SAMPLES / f"{name}.mp4"
        if not path.exists():
            make_sample(path, seconds=seconds, width=width, height=height, fps=5)
    _pad(SAMPLES / "valido.mp4", VALID_BYTES)
    (SAMPLES / "no_es_video.mp4").write_text("Esto es un texto.\n")
    (SAMPLES / "vacio.mp4").write_bytes(b"")
    with (SAMPLES / "enorme.mp4").open("wb") as file:
        file.truncate(TOO_MANY_BYTES)


def _pad(path: Path, size_bytes: int) -> None:
    """Let the MP4 end with a box of nothing, so that it has the size on every machine."""
    missing = size_bytes - path.stat().st_size
    if missing:
        with path.open("ab") as file:
            file.write(missing.to_bytes(4) + b"free" + bytes(missing - 8))


def newman(base_url: str) -> int:
    """Run the collection against an API, whose address ends in /api, and return newman's exit code."""
    if not NEWMAN.exists():
        subprocess.run(["npm", "ci", "--silent"], cwd=ROOT, check=True)
    collection = COLLECTIONS / "anb.postman_collection.json"
    environment = COLLECTIONS / "postman_environment.json"
    options = ["--environment", str(environment), "--env-var", f"base_url={base_url}", "--working-dir", str(SAMPLES)]
    return subprocess.run([str(NEWMAN), "run", str(collection), *options], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(commands.run(run_postman, program="scripts.run_postman", errors=ERRORS))
