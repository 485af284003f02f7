"""The real processes behind nginx, and players that talk to them over HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.system import System, running_system
from tests.people import PASSWORD, registration
from tests.waiting import until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@dataclass(frozen=True)
class Player:
    """Somebody with an account and a token."""

    url: str
    headers: dict[str, str]

    def upload(self, path: Path, *, title: str = "Mi mejor tiro", **headers: str) -> requests.Response:
        with path.open("rb") as file:
            return requests.post(
                f"{self.url}/api/videos/upload",
                headers={**self.headers, **headers},
                data={"title": title},
                files={"video_file": (path.name, file)},
                timeout=60,
            )

    def send(self, method: str, path: str) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", headers=self.headers, timeout=30)

    def video(self, video_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.send("GET", f"/api/videos/{video_id}").json()
        return found

    def wait_for(self, video_id: str, *, seconds: float = 60) -> dict[str, Any]:
        """Return the video when it is processed or failed."""

        def ended() -> dict[str, Any] | None:
            found = self.video(video_id)
            return found if found.get("status") in {"processed", "failed"} else None

        return until(ended, seconds=seconds)


@pytest.fixture
def make_player(system: System) -> Callable[..., Player]:
    def make(**values: str) -> Player:
        account = registration(**values)
        created = requests.post(f"{system.url}/api/auth/signup", json=account, timeout=30)
        assert created.status_code == 201, created.text
        login = {"email": account["email"], "password": PASSWORD}
        entered = requests.post(f"{system.url}/api/auth/login", json=login, timeout=30)
        assert entered.status_code == 200, entered.text
        return Player(system.url, {"Authorization": f"Bearer {entered.json()['access_token']}"})

    return make
