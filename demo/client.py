"""A player's side of the API: what a browser or a telephone would send."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

TIMEOUT_SECONDS = 60


class UnexpectedAnswer(Exception):
    """The API answered otherwise than the contract says, or not at all; the message tells what came."""


@dataclass(frozen=True)
class Answer:
    """A status and the JSON that came with it."""

    request: str
    status: int
    body: Any

    def expect(self, status: int) -> Any:
        """The body; raises UnexpectedAnswer if the status is another."""
        if self.status != status:
            raise UnexpectedAnswer(f"{self.request} answered {self.status} and not {status}: {self.body}")
        return self.body


class Client:
    """Talks to the API, as nobody until it has logged in. Everything raises UnexpectedAnswer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = _new_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def log_in(self, *, email: str, password: str) -> None:
        """Be that player from now on."""
        body = self.send("POST", "/api/auth/login", json={"email": email, "password": password}).expect(200)
        self._session.headers["Authorization"] = f"Bearer {body['access_token']}"

    def upload(self, path: Path, *, title: str) -> Answer:
        """Send a video whole, through the API."""
        with path.open("rb") as file:
            return self.send(
                "POST", "/api/videos/upload", data={"title": title}, files={"video_file": (path.name, file)}
            )

    def upload_directly(self, path: Path, *, title: str) -> Answer:
        """Send a video straight to the object store, with a form from the API; the answer is to its completion."""
        wanted = {"title": title, "size": path.stat().st_size}
        form = self.send("POST", "/api/videos/uploads", json=wanted).expect(201)
        with path.open("rb") as file, _explaining(f"POST {form['url']}"), _new_session() as session:
            # The form is the permission: the store must not see the player's token
            files = {"file": (path.name, file)}
            stored = session.post(form["url"], data=form["fields"], files=files, timeout=TIMEOUT_SECONDS)
        if not stored.ok:
            raise UnexpectedAnswer(f"the object store answered {stored.status_code}: {stored.text[:200]}")
        return self.send("POST", f"/api/videos/uploads/{form['video_id']}/complete")

    def download(self, url: str, path: Path) -> None:
        """Write what lies at a presigned URL to a file."""
        with _explaining(f"GET {url}"), _new_session() as session:
            response = session.get(url, timeout=TIMEOUT_SECONDS)
        if response.status_code != 200:
            raise UnexpectedAnswer(f"GET {url} answered {response.status_code}")
        path.write_bytes(response.content)

    def send(self, method: str, path: str, **content: Any) -> Answer:
        """Send a request with what `requests` takes as its content."""
        request = f"{method} {path}"
        with _explaining(request):
            response = self._session.request(method, f"{self._url}{path}", timeout=TIMEOUT_SECONDS, **content)
            return Answer(request, response.status_code, response.json())


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy does not lead to this machine
    return session


@contextmanager
def _explaining(request: str) -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:  # no answer, or one that is not JSON
        raise UnexpectedAnswer(f"{request} brought no answer: {error}") from error
