"""Send the whole system, but for its worker, what openapi.json allows and what it does not.

A twentieth of the time goes to requests that no client library would send, see raw.py. Schemathesis makes the others
and holds every answer to the description; all come in through nginx, as everybody.
Before it begins there are two players with videos that are open to votes, so that rules about other people's
videos and about votes are met too.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import click
import requests

from anb import commands
from anb.database import connect
from anb.lifecycle import Lease, claim, finish
from anb.timings import Timings
from demo.samples import make_sample
from local import applications
from local.errors import CannotRun
from local.system import SERVICES, System, running_system
from scripts.fuzz import raw

HERE = Path(__file__).parent
# The same in players.json, with which Schemathesis signs in
PLAYERS = {"ana": "ana@example.com", "luis": "luis@example.com"}
PASSWORD = "StrongPass123"  # noqa: S105 of players who do not exist


@click.command(help=__doc__)
@click.option(
    "--seconds", type=click.IntRange(min=1), default=600, show_default=True, help="How long to keep asking."
)
@click.option(
    "--examples", type=click.IntRange(min=1), help="How often to ask each operation, whatever time it takes."
)
@click.option("--seed", type=int, help="Repeat the requests of an earlier run.")
def fuzz(seconds: int, examples: int | None, seed: int | None) -> int:
    """Return 0 when there are no findings."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        sample = make_sample(folder / "sample.mp4", seconds=20, fps=1)
        limits = applications.RAISED_LIMITS if examples is None else {}
        if limits:
            print(applications.raised_limits())
        with running_system(folder / "state", services=set(SERVICES) - {"worker"}, settings=limits) as system:
            for email in PLAYERS.values():
                _publish_a_video(system, email=email, sample=sample)
            broke = _send_raw(system, seconds=(seconds if examples is None else 20) / 20, seed=seed)
            options = _options(seconds=seconds, examples=examples, seed=seed)
            return _schemathesis(system.url, folder, sample, options=options) or broke


def _send_raw(system: System, *, seconds: float, seed: int | None) -> int:
    """Return 1 after telling what was not answered properly, else 0."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"raw requests for {seconds:.0f} s, seed {seed}")
    sent = raw.requests(random.Random(seed))  # noqa: S311 so that it can be repeated
    found = list(raw.findings(urlsplit(system.url).port or 80, sent, seconds=seconds))
    for finding in found:
        print(finding)
    if requests.get(f"{system.url}/readyz", timeout=10).status_code != 200:
        print("the system is not ready any more")
        return 1
    print(f"raw requests: {len(found)} findings")
    return 1 if found else 0


def _options(*, seconds: int, examples: int | None, seed: int | None) -> list[str]:
    bound = ["--max-time", seconds - seconds // 20] if examples is None else ["--max-examples", examples]
    return [str(word) for word in (*bound, *([] if seed is None else ["--seed", seed]))]


def _publish_a_video(system: System, *, email: str, sample: Path) -> None:
    account = {"first_name": "Ana", "last_name": "Gil", "city": "Cali", "country": "Colombia", "email": email}
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    _post(f"{system.url}/api/auth/signup", json={**account, **passwords})
    token = _post(f"{system.url}/api/auth/login", json={"email": email, "password": PASSWORD})["access_token"]
    with sample.open("rb") as file:
        video_id = _post(
            f"{system.url}/api/videos/upload",
            headers={"Authorization": f"Bearer {token}"},
            data={"title": "Mi mejor tiro"},
            files={"video_file": file},
        )["video_id"]
    _finish(system, UUID(video_id))


def _post(url: str, **sent: object) -> dict[str, str]:
    response = requests.post(url, timeout=30, **sent)  # type: ignore[arg-type] # as its many parameters
    response.raise_for_status()
    return dict(response.json())


def _finish(system: System, video_id: UUID) -> None:
    """Publish the video as a worker would, without the work."""
    engine = connect(system.environment["ANB_DATABASE_URL"], pool_size=1)
    with engine.begin() as connection:
        lease = claim(connection, video_id=video_id, owner="fuzz", timings=Timings())
        if not isinstance(lease, Lease):
            raise TypeError(f"nobody else works on video {video_id}, and yet it cannot be claimed")
        finish(connection, lease)
    engine.dispose()


def _schemathesis(url: str, folder: Path, sample: Path, *, options: list[str]) -> int:
    """Run it in a folder that will be gone: it leaves its notes where it is started, and reads the players there."""
    shutil.copy(HERE / "players.json", folder)
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    environment = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "FUZZ_SAMPLE": str(sample)}
    return subprocess.run([*command, *options], cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(commands.run(fuzz, program="scripts.fuzz.run", errors={CannotRun: commands.MISSING}))
