"""What the demo's players do: everything that the API offers, over HTTP alone.

The steps come in the order of the methods; whatever does not go as the contract says is kept in `problems`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from demo.client import Client, UnexpectedAnswer
from demo.clips import SAMPLES, Outcome, Sample

PASSWORD = "StrongPass123"  # noqa: S105 - of people who are made up
FILTERED_CITY = ("bogota", "Bogotá")  # as asked for, and as it is
ALREADY_VOTED = "Ya has votado por este video."
LOOK_EVERY_SECONDS = 1
PAGE = 100  # places, the most that a page has
PAGES = 50  # of the ranking that are looked through for players of ours
STALLED_AFTER_SECONDS = 600
BEHIND_AT_MOST_SECONDS = 60


@dataclass(frozen=True)
class Player:
    """Somebody who takes part."""

    first_name: str
    last_name: str
    city: str

    @property
    def username(self) -> str:
        """The name in the ranking."""
        return f"{self.first_name} {self.last_name}"


PLAYERS = (
    Player("Valentina", "Rojas", "Bogotá"),
    Player("Santiago", "Mejía", "Medellín"),
    Player("Camila", "Torres", "Cali"),
    Player("Andrés", "Castillo", "Bogotá"),
    Player("Luisa", "Díaz", "Cartagena"),
    Player("Mateo", "Quintero", "Medellín"),
)


@dataclass
class Entry:
    """A file on its way."""

    sample: Sample
    player: Player
    path: Path
    state: str = "being made"
    video_id: str = ""
    sent_at: float = 0
    outcome: Outcome | None = None
    sentence: str = ""
    """Why it was refused or failed, in the API's words."""
    seconds: float | None = None
    """From the end of its upload until its outcome was seen."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is going to happen to it."""
        return self.state == "over"

    @property
    def is_processed(self) -> bool:
        """Whether it is open to votes."""
        return self.outcome is Outcome.PROCESSED


class Journey:
    """The players on their way through the API at `url`."""

    def __init__(self, url: str, *, samples: Path, sleep: Callable[[float], None], family: str = "") -> None:
        """`sleep` waits, and raises when there is nothing to wait for any more.

        With the name of a `family` the players are told from all others, and the system may have others.
        """
        self.problems: list[str] = []
        self._family = family
        self._players = tuple(replace(player, last_name=f"{player.last_name} {family}".strip()) for player in PLAYERS)
        self.entries = [
            Entry(sample, self._players[number % len(PLAYERS)], samples / sample.file)
            for number, sample in enumerate(SAMPLES)
        ]
        self._sleep = sleep
        self._visitor = Client(url)
        self._clients = {player: Client(url) for player in self._players}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for client in (self._visitor, *self._clients.values()):
            self._open.enter_context(client)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def processed(self) -> list[Entry]:
        """The entries that are open to votes."""
        return [entry for entry in self.entries if entry.is_processed]

    def sign_up(self) -> str:
        """Everybody gets an account and logs in; nobody can with another's password."""
        for player, client in self._clients.items():
            account = {
                "email": self._email(player),
                "password1": PASSWORD,
                "password2": PASSWORD,
                "country": "Colombia",
            }
            names = {"first_name": player.first_name, "last_name": player.last_name, "city": player.city}
            client.send("POST", "/api/auth/signup", json={**account, **names}).expect(201)
            client.log_in(email=self._email(player), password=PASSWORD)
        wrong = {"email": self._email(self._players[0]), "password": "not-hers"}
        refused = self._visitor.send("POST", "/api/auth/login", json=wrong).expect(401)
        cities = len({player.city for player in self._players})
        return f"{len(self._players)} players from {cities} cities; a wrong password: {refused['message']}"

    def upload_and_watch(self, is_there: Callable[[Sample], bool], show: Callable[[Entry], None]) -> None:
        """Send each file as soon as it is there, until the last one's outcome is known; `show` sees each change."""
        changed_at = time.monotonic()
        while unfinished := [entry for entry in self.entries if not entry.is_over]:
            before = [entry.state for entry in unfinished]
            for entry in unfinished:
                if not entry.sent_at and is_there(entry.sample):
                    self._attempt(entry, self._send, show)
            for player in {entry.player for entry in unfinished if entry.video_id}:
                self._look(player, show)
            if before != [entry.state for entry in unfinished]:
                changed_at = time.monotonic()
            if time.monotonic() - changed_at > STALLED_AFTER_SECONDS:
                self._give_up(unfinished, show)
            self._sleep(LOOK_EVERY_SECONDS)

    def look_closer(self) -> str:
        """Owners see their video in detail, others do not; the public list shows all that are processed."""
        for entry in self.processed:
            path = f"/api/videos/{entry.video_id}"
            detail = self._of(entry).send("GET", path).expect(200)
            self._require(
                {"original_url", "processed_url", "processed_at"} <= set(detail) and detail["votes"] == 0,
                f"{entry.sample.name} has the details {detail}",
            )
            self._another(entry.player).send("GET", path).expect(403)
        due = {entry.video_id for entry in self.processed}

        def shows_them(listed: Sequence[dict[str, Any]]) -> bool:
            found = {item["video_id"] for item in listed}
            return due <= found if self._family else due == found

        self._await(f"/api/public/videos?limit={PAGE}", shows_them, shows="them all")
        self._visitor.send("GET", "/api/videos").expect(401)
        return f"{len(due)} videos are public; details are their owners' alone"

    def download(self, folder: Path) -> str:
        """Bring every processed video home, under its sample's name."""
        for entry in self.processed:
            video = self._of(entry).send("GET", f"/api/videos/{entry.video_id}").expect(200)
            self._visitor.download(video["processed_url"], folder / entry.sample.file)
        return f"{len(self.processed)} processed videos in {folder}"

    def vote(self) -> str:
        """Everybody votes for the first video, one player fewer for each one after it; twice is once too often."""
        for entry, voters in self._voters():
            for voter in voters:
                self._clients[voter].send("POST", f"/api/public/videos/{entry.video_id}/vote").expect(200)
        path = f"/api/public/videos/{self.processed[0].video_id}/vote"
        self._visitor.send("POST", path).expect(401)
        again = self._clients[self._players[0]].send("POST", path).expect(400)
        self._require(again["message"] == ALREADY_VOTED, f"a second vote is refused with: {again['message']}")
        return f"{sum(len(voters) for _, voters in self._voters())} votes; a second one: {again['message']}"

    def rank(self) -> str:
        """The ranking shows every vote within its time, and can be asked for one city."""
        asked, city = FILTERED_CITY
        standings = self._standings()
        self._await_ranking(f"/api/public/rankings?limit={PAGE}", standings)
        self._await_ranking(
            f"/api/public/rankings?city={asked}&limit={PAGE}",
            [(player, votes) for player, votes in standings if player.city == city],
        )
        return f"counts every vote, and those of {city} alone for city={asked}"

    def ranking(self, *, city: str = "") -> list[dict[str, Any]]:
        """The ranking as the API has it."""
        places: list[dict[str, Any]] = self._visitor.send(
            "GET", "/api/public/rankings", params={"city": city} if city else {}
        ).expect(200)
        return places

    def clear_away(self) -> str:
        """What failed can be deleted, what is open to votes cannot."""
        failed = [entry for entry in self.entries if entry.outcome is Outcome.FAILED]
        for entry in failed:
            self._delete(entry)
        entry = self.processed[0]
        refused = self._of(entry).send("DELETE", f"/api/videos/{entry.video_id}").expect(400)
        return f"{len(failed)} failed video deleted; a published one: {refused['message']}"

    @contextmanager
    def noting_problems(self, step: str) -> Iterator[None]:
        """Keep what goes wrong in the block among the problems instead of raising it."""
        try:
            yield
        except UnexpectedAnswer as problem:
            self.problems.append(f"{step}: {problem}")
        except (KeyError, IndexError, TypeError) as problem:
            self.problems.append(f"{step}: an answer lacks what the contract promises: {problem!r}")

    # --- entries ------------------------------------------------------------------------------------------

    def _attempt(self, entry: Entry, do: Callable[[Entry], None], show: Callable[[Entry], None]) -> None:
        before, known = entry.state, len(self.problems)
        with self.noting_problems(entry.sample.name):
            do(entry)
        if len(self.problems) > known:
            self._finish(entry, None, "did not go as it should")
        if entry.state != before:
            show(entry)

    def _send(self, entry: Entry) -> None:
        entry.sent_at = time.monotonic()
        client = self._of(entry)
        upload = client.upload_directly if entry.sample.direct else client.upload
        answer = upload(entry.path, title=entry.sample.title)
        if entry.sample.outcome is Outcome.REFUSED:
            self._finish(entry, Outcome.REFUSED, answer.expect(400)["message"])
            return
        entry.video_id = answer.expect(201)["video_id"]
        entry.sent_at = time.monotonic()
        entry.state = "in the queue"
        if entry.sample.outcome is Outcome.WITHDRAWN:
            self._finish(entry, Outcome.WITHDRAWN, self._delete(entry))

    def _look(self, player: Player, show: Callable[[Entry], None]) -> None:
        with self.noting_problems(f"the list of {player.username}"):
            listed = {item["video_id"]: item for item in self._clients[player].send("GET", "/api/videos").expect(200)}
            for entry in self.entries:
                if entry.player == player and entry.video_id and not entry.is_over:
                    self._attempt(entry, lambda entry: self._take_in(entry, listed), show)

    def _take_in(self, entry: Entry, listed: dict[str, dict[str, Any]]) -> None:
        item = listed[entry.video_id]
        if item["status"] in {"processed", "failed"}:
            self._finish(entry, Outcome(item["status"]), item.get("error", ""))

    def _finish(self, entry: Entry, outcome: Outcome | None, sentence: str) -> None:
        entry.outcome, entry.sentence, entry.state = outcome, sentence, "over"
        entry.seconds = time.monotonic() - entry.sent_at
        name, expected = entry.sample.name, entry.sample.outcome
        if outcome is not None and outcome is not expected:
            self.problems.append(f"{name} is {outcome.value} and should be {expected.value}: {sentence}")
        elif outcome and entry.sample.reason not in sentence:
            self.problems.append(f"{name} is {outcome.value} for another reason than expected: {sentence}")

    def _give_up(self, entries: Sequence[Entry], show: Callable[[Entry], None]) -> None:
        for entry in entries:
            self.problems.append(f"{entry.sample.name}: nothing happened for {STALLED_AFTER_SECONDS} s")
            self._finish(entry, None, "nothing happened")
            show(entry)

    def _delete(self, entry: Entry) -> str:
        """Delete a video and make sure that it is gone; the API's sentence."""
        path = f"/api/videos/{entry.video_id}"
        message = str(self._of(entry).send("DELETE", path).expect(200)["message"])
        self._of(entry).send("GET", path).expect(404)
        return message

    # --- votes --------------------------------------------------------------------------------------------

    def _voters(self) -> list[tuple[Entry, Sequence[Player]]]:
        return [(entry, self._players[number:]) for number, entry in enumerate(self.processed)]

    def _standings(self) -> list[tuple[Player, int]]:
        """Who should have how many votes, in the ranking's order."""
        votes = {entry.player: 0 for entry in self.processed}
        for entry, voters in self._voters():
            votes[entry.player] += len(voters)
        return sorted(votes.items(), key=lambda standing: (-standing[1], self._players.index(standing[0])))

    def _await_ranking(self, path: str, standings: Sequence[tuple[Player, int]]) -> None:
        due = [
            {"position": position, "username": player.username, "city": player.city, "votes": votes}
            for position, (player, votes) in enumerate(standings, start=1)
        ]
        self._await_places(path, due)

    def _await_places(self, path: str, due: Sequence[dict[str, Any]]) -> None:
        if not self._family:
            self._await(path, lambda found: bool(found == due), shows=str(due))
            return
        seen: list[dict[str, Any]] = []

        def shows_ours(page: Sequence[dict[str, Any]]) -> bool:
            seen[:] = page
            for number in range(2, PAGES + 1):
                if len(page) < PAGE:
                    break
                page = self._visitor.send("GET", f"{path}&page={number}").expect(200)
                seen.extend(page)
            return self._ours(seen) == self._ours(due)

        self._await(path, shows_ours, shows=str(due))

    def _ours(self, places: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The places of our players alone, whose positions among others tell nothing."""
        names = {player.username for player in self._players}
        return [{**place, "position": 0} for place in places if place["username"] in names]

    def _await(self, path: str, holds: Callable[[Any], bool], *, shows: str) -> None:
        """Ask until the answer is right: what is public may be a little behind."""
        deadline = time.monotonic() + BEHIND_AT_MOST_SECONDS
        while not holds(found := self._visitor.send("GET", path).expect(200)):
            if time.monotonic() > deadline:
                raise UnexpectedAnswer(f"GET {path} does not show {shows}, but {found}")
            self._sleep(LOOK_EVERY_SECONDS)

    # --- players ------------------------------------------------------------------------------------------

    def _of(self, entry: Entry) -> Client:
        return self._clients[entry.player]

    def _another(self, player: Player) -> Client:
        return next(client for other, client in self._clients.items() if other != player)

    def _email(self, player: Player) -> str:
        family = f"-{self._family.lower()}" if self._family else ""
        return f"player{self._players.index(player) + 1}{family}@example.com"

    def _require(self, held: bool, problem: str) -> None:
        if not held:
            raise UnexpectedAnswer(problem)
