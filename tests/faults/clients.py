"""The clients of one scenario: players who upload and voters who vote, and who try again as they are told to."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import requests

from tests.faults.oracle import History
from tests.faults.world import World
from tests.people import PASSWORD, registration

MAX_WAIT_SECONDS = 1.0  # a Retry-After is obeyed, but not for longer than this: the runs would last
PATIENCE_SECONDS = 120  # how long a client tries


class GaveUp(Exception):
    """A client has tried for too long."""


@dataclass(frozen=True)
class Person:
    """Somebody with an account and a token."""

    id: int
    headers: dict[str, str]


class Clients:
    """Everything that is asked of the system in one scenario goes through here and into its history."""

    def __init__(self, world: World, history: History, clip: Path) -> None:
        self.world, self.history, self.clip = world, history, clip
        self.player = self.join()

    def join(self) -> Person:
        """Sign somebody up and in."""
        account = registration()
        email = account["email"]
        self._insist("POST", "/api/auth/signup", {201, 400}, json=account)
        answer = self._insist("POST", "/api/auth/login", {200}, json={"email": email, "password": PASSWORD})
        ((number,),) = self.world.rows("SELECT id FROM anb.users WHERE email = %s", email)
        self.history.players.append(number)
        return Person(number, {"Authorization": f"Bearer {answer.json()['access_token']}"})

    def upload(self, *, wanted: str = "processed", clip: Path | None = None, person: Person | None = None) -> str:
        """Upload a video, again and again with the same key until it is accepted; return its id."""
        content = (clip or self.clip).read_bytes()
        answer = self._insist(
            "POST",
            "/api/videos/upload",
            {201},
            headers={**(person or self.player).headers, "Idempotency-Key": uuid4().hex},
            data={"title": "Mi mejor tiro"},
            files={"video_file": ("clip.mp4", content)},
        )
        return self.accepted(answer, wanted)

    def upload_directly(self, *, wanted: str = "processed") -> str:
        """Upload a video straight to the object store."""
        form = self.begin(self.clip.read_bytes())
        return self.accepted(self.complete(form), wanted)

    def upload_in_vain(self, clip: Path) -> None:
        """Upload what the contest does not accept straight to the object store."""
        self.complete(self.begin(clip.read_bytes()), final=[400])

    def begin(self, content: bytes) -> dict[str, Any]:
        """Reserve for a file and post it straight to the object store; return the form."""
        headers = {**self.player.headers, "Idempotency-Key": uuid4().hex}
        form: dict[str, Any] = self._insist(
            "POST", "/api/videos/uploads", {201}, headers=headers, json={"title": "Directo", "size": len(content)}
        ).json()
        self.post(form, content)
        return form

    def post(self, form: dict[str, Any], content: bytes) -> None:
        """Post a file with a form that may have been used before."""
        answer = requests.post(form["url"], data=form["fields"], files={"file": ("clip.mp4", content)}, timeout=60)
        answer.raise_for_status()

    def complete(self, form: dict[str, Any], *, final: Collection[int] = (201,)) -> requests.Response:
        """Say that a file has arrived, again and again until that is answered in a way that is final."""
        path = f"/api/videos/uploads/{form['video_id']}/complete"
        return self._insist("POST", path, set(final), headers=self.player.headers)

    def delete(self, video_id: str) -> int:
        """Ask for a video's deletion until there is an answer that is final; return its status."""
        answer = self._insist("DELETE", f"/api/videos/{video_id}", {200, 400, 404}, headers=self.player.headers)
        if answer.status_code != 400:
            self.history.deleted.add(video_id)
        return answer.status_code

    def vote(self, video_id: str, person: Person) -> int:
        """Vote, again after each refusal that asks for it; return the last status."""
        answer = self._insist("POST", f"/api/public/videos/{video_id}/vote", {200, 400}, headers=person.headers)
        if answer.status_code == 200:
            self.history.votes.add((person.id, video_id))
        return answer.status_code

    def meanwhile(self, number: int, do: Callable[[], Any], *, threads: int = 8) -> "Load":
        """Do something that often, from several threads, while the block goes on."""
        return Load(number, do, threads)

    def accepted(self, answer: requests.Response, wanted: str = "processed") -> str:
        """Note that the answer promises a video, and how that must end; return its id."""
        video_id = str(answer.json()["video_id"])
        self.history.accepted[video_id] = wanted
        return video_id

    def _insist(self, method: str, path: str, final: set[int], **content: Any) -> requests.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = requests.request(method, f"{self.world.url}{path}", timeout=90, **content)
            except requests.RequestException:
                self.history.answered(0, retry_after=False)
                time.sleep(MAX_WAIT_SECONDS)  # a client's patience, where nobody states another
                continue
            self.history.answered(answer.status_code, retry_after="Retry-After" in answer.headers)
            if answer.status_code in final:
                return answer
            if answer.status_code not in {429, 503}:
                raise GaveUp(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
            time.sleep(min(MAX_WAIT_SECONDS, float(answer.headers.get("Retry-After", 0))))  # as it is told
        raise GaveUp(f"{method} {path} was not answered within {PATIENCE_SECONDS} s")


class Load:
    """Something that is done many times, at most `threads` at once; leaving the block waits for all of it."""

    def __init__(self, number: int, do: Callable[[], Any], threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._futures: list[Future[Any]] = [self._pool.submit(do) for _ in range(number)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for future in self._futures:
            future.result()

    def done(self) -> int:
        """How many have ended."""
        return sum(future.done() for future in self._futures)

    def is_over(self) -> bool:
        """Whether all of them have."""
        return self.done() == len(self._futures)
