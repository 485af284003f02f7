"""The emulated lab account that the tests of a module share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.lab import Lab, running_lab

STAND_INS = Path(__file__).parent / "stand_ins.py"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An account to which artefacts of a few bytes are deployed."""
    app = f"{sys.executable} {STAND_INS} {tmp_path_factory.mktemp('artefacts')}"
    with running_lab(tmp_path_factory.mktemp("lab"), app=app) as lab:
        yield lab
