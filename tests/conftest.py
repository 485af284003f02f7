"""What tests share: a private database and emulated S3 and SQS, started when the first test asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from hypothesis import settings

from demo.samples import make_sample
from local.database import Database
from local.emulator import Emulator
from local.system import running_database, running_emulator

# How long an example takes says more of the machine than of the code; mp4/test_cost.py counts lines instead
settings.register_profile("any machine", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let what a test compares be written anew."""
    parser.addoption("--write-snapshots", action="store_true", help="write docs/templates anew")
    parser.addoption("--record-aws-calls", action="store_true", help="write tests/aws_calls.json again")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A MariaDB of this test session's own."""
    with running_database(tmp_path_factory.mktemp("database")) as database:
        yield database


@pytest.fixture(scope="module")
def database_url(database: Database) -> Iterator[str]:
    """An empty schema, the same for all tests of a module."""
    with database.connect() as connection:
        schema = f"test_{uuid4().hex}"
        connection.cursor().execute(f"CREATE DATABASE {schema}")
        yield database.admin_url.replace("/?", f"/{schema}?")
        connection.cursor().execute(f"DROP DATABASE {schema}")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """S3 and SQS with an empty bucket and empty queues; `reset` empties them again."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> "Clips":
    """Sample videos by what is special about them, each made when the first test asks."""
    return Clips(tmp_path_factory.mktemp("clips"))


class Clips:
    """Makes sample videos once; few pictures a second keep that fast."""

    _SHAPES: ClassVar[dict[str, dict[str, Any]]] = {
        "good": {"seconds": 21},
        "portrait": {"seconds": 21, "rotation": 90},
        "12 seconds": {"seconds": 12},
        "75 seconds": {"seconds": 75},
        "720p": {"seconds": 21, "width": 1280, "height": 720},
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Path:
        path = self._folder / f"{name}.mp4"
        return path if path.exists() else make_sample(path, fps=5, **self._SHAPES[name])
