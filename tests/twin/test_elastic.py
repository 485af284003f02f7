"""The twin over real processes: a short burst, faster than `make elastic` plays it."""

import threading
from dataclasses import replace

import cfnlint.decode
import pytest

from demo.client import Client
from local import console
from stacks.rules.assembly import Assembly
from tests.faults.clips import make_clip
from tests.people import PASSWORD, registration
from tests.stacks.snapshots import FOLDER
from twin.assumptions import Assumptions
from twin.groups import Size
from twin.templates import fleets
from twin.world import running_world

SPEED = 20
VIDEOS = 30
LONGEST_SECONDS = 2400  # of the twin's: two minutes


@pytest.fixture(scope="module")
def academy():
    """The fleets of the lab account's templates, as they are kept."""
    paths = (FOLDER / "academy").glob("*.yaml")
    templates = {path.stem: cfnlint.decode.decode_str(path.read_text(encoding="utf-8"))[0] for path in paths}
    return fleets(Assembly("us-east-1", templates))


@pytest.fixture(scope="module")
def world(academy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elastic")
    one_server = academy | {"AnbWeb": replace(academy["AnbWeb"], size=Size(1, 1))}
    with running_world(
        folder / "world",
        one_server,
        speed=SPEED,
        assumptions=Assumptions(boot=60),
        clip=make_clip(folder / "clip.mp4"),
        write=console.ignore,
    ) as world:
        yield world


@pytest.fixture
def accepted(world):
    """The statuses that a player's uploads were answered with, all at once."""
    answers: list[int] = []

    def upload():
        account = registration()
        with Client(world.balancer.url) as player:
            player.send("POST", "/api/auth/signup", json=account).expect(201)
            player.log_in(email=account["email"], password=PASSWORD)
            answers.extend(player.upload(world.clip, title=f"Tiro {number}").status for number in range(VIDEOS))

    play(world, world.web.balancer.healthy)
    thread = threading.Thread(target=upload)
    thread.start()
    yield answers
    thread.join()


def play(world, is_over):
    while not is_over() and world.loop.now() < LONGEST_SECONDS:
        world.loop.run(world.loop.now() + 15)


def test_a_burst_has_more_workers_and_ends_with_the_least_and_nothing_lost(world, accepted):
    sizes = []

    def is_over():
        sizes.append(len(world.workers.group.in_service()))
        return world.statuses() == {"processed": VIDEOS} and world.workers.group.desired == 1 and sizes[-1] == 1

    play(world, is_over)

    assert accepted == [201] * VIDEOS
    assert world.statuses() == {"processed": VIDEOS}
    assert world.interrupted() == 0
    assert max(sizes) > 1
    assert sizes[-1] == 1
