"""Who uses the system in a story: players who upload, and readers who ask at a rate. Times are the twin's."""

import itertools
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import uuid4

from demo.client import Client, UnexpectedAnswer
from local.loopback import ADDRESS
from twin.loop import Loop

_PASSWORD = "StrongPass123"  # noqa: S105 of invented people
# In turn; one of three needs the database, since what a page brings along needs none
_READ = ("/api/public/videos", "/ingresar", "/registro")
_MOST_READERS = 800  # who ask at the same time: 20 requests a second that all wait for 40 s
_IDLE_SECONDS = 0.1  # between two looks whether readers shall come, by the machine's clock
_PATIENCE_SECONDS = 60  # of a client, by its own clock


class Players:
    """One player who uploads the same clip again and again; `accepted` are the ids that were answered with 201."""

    def __init__(self, url: str, *, clip: Path, loop: Loop) -> None:
        self.accepted: dict[str, float] = {}
        self.refused: list[str] = []
        self._url, self._clip, self._loop = url, clip, loop
        self._account = {
            "email": f"{uuid4().hex}@example.com",
            "password1": _PASSWORD,
            "password2": _PASSWORD,
            "first_name": "Ana",
            "last_name": "Gil",
            "city": "Bogotá",
            "country": "Colombia",
        }
        self._client = Client(url)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="players")

    def join(self) -> None:
        """Sign up and log in; raises UnexpectedAnswer."""
        self._client.send("POST", "/api/auth/signup", json=self._account).expect(201)
        self._client.log_in(email=self._account["email"], password=_PASSWORD)

    def upload(self) -> "Future[None]":
        """Send the clip, as soon as one of the player's four hands is free."""
        return self._threads.submit(self._upload)

    def _upload(self) -> None:
        try:
            answer = self._client.upload(self._clip, title="Mi mejor tiro")
            self.accepted[answer.expect(201)["video_id"]] = self._loop.now()
        except UnexpectedAnswer as error:
            self.refused.append(str(error))

    def close(self) -> None:
        """Leave."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.__exit__()


class Readers:
    """People who look at the published videos, `per_second` requests in each of the twin's seconds.

    However long others wait for their answers: those who come do not know of them. A machine cannot answer faster
    because AWS's time goes faster: of as many requests as the twin's speed one is sent, and stands for all of them.
    """

    def __init__(self, port: int, *, loop: Loop) -> None:
        self.per_second = 0.0
        self.answers: list[tuple[float, int]] = []
        """When each answer came, and its status; 0 where the connection broke."""
        self._port, self._loop = port, loop
        self._over, self._paths = threading.Event(), itertools.cycle(_READ)
        self._threads = ThreadPoolExecutor(_MOST_READERS, thread_name_prefix="readers")
        self._coming = threading.Thread(target=self._come, name="readers")
        self._coming.start()

    def close(self) -> None:
        """Leave."""
        self._over.set()
        self._coming.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _come(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            rate, now = self.per_second, time.monotonic()
            # A machine that is too busy for a second does not make up for all of it
            due = max(due, now - 1) + 1 / rate if rate else now + _IDLE_SECONDS
            self._over.wait(max(0.0, due - now))
            if rate:
                self._threads.submit(self._read, next(self._paths))

    def _read(self, path: str) -> None:
        status = self._ask(path)
        self.answers.append((self._loop.now(), status))

    def _ask(self, path: str) -> int:
        connection = HTTPConnection(ADDRESS, self._port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            return 0
        else:
            return answer.status
        finally:
            connection.close()
