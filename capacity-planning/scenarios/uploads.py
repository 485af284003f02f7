"""Players who upload real videos, through the API or straight to the store, and those who do a bit of everything.

    locust --locustfile uploads.py --video clip.mp4 --host http://127.0.0.1:8080 --headless \
        --users 100 --spawn-rate 0.56 --run-time 480s --stop-timeout 70 MultipartUploader

So many users within three minutes, and five more at full number. The exit code is 1 when a criterion breaks (see
capacity/criteria.py) among what begins once all users are there, and 2 when load may not go there.
"""

import gzip
import json
import random
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from locust import FastHttpUser, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from capacity import target
from capacity.criteria import Failure, Sample, first_degraded, observe

PIECE_BYTES = 256 * 1024
TOKEN_SECONDS = 2400  # of the hour that one is good for, so that it outlasts a stage
PLAYERS_AT_ONCE = 4
BOUNDARY = "anb-capacity"
VIDEO_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{{field}}"; filename="clip.mp4"\r\n'
    "Content-Type: video/mp4\r\n\r\n"
)
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def add_arguments(parser: LocustArgumentParser) -> None:
    """Say what a run needs to know beyond what Locust asks for."""
    parser.add_argument("--video", default="", help="the MP4 that everybody uploads")
    parser.add_argument("--pause-seconds", type=float, default=10.0, help="mean pause between two uploads of a user")
    parser.add_argument("--players", default="", help="file that keeps the accounts for the next run")
    parser.add_argument("--record", default="", help="file for every request, as compressed JSON")
    parser.add_argument("--own-host", default="", help="the host once more, where it is not this machine")
    parser.add_argument("--tidy", action="store_true", help="delete what was uploaded when the run is over")
    parser.add_argument(
        "--forwarded-for", action="store_true", help="give each user an address, where the proxy believes it"
    )


class Run:
    """What the users of this process share."""

    def __init__(self) -> None:
        self.options = Namespace()
        self.host = ""
        self.video = memoryview(b"")
        self.tokens: list[str] = []
        self.samples: list[Sample] = []
        self.begun = 0.0

    def prepare(self, environment: Environment) -> None:
        """Check where the load goes, read the video and make the players."""
        self.options = environment.parsed_options or Namespace()
        self.host = host = environment.host or ""
        users = int(self.options.num_users or 1)
        try:
            target.check(host, confirmed_host=self.options.own_host, users=users)
        except target.Refused as refusal:
            sys.stderr.write(f"{refusal}\n")
            sys.exit(2)
        self.video = memoryview(Path(self.options.video).read_bytes()) if self.options.video else memoryview(b"")
        kept = Path(self.options.players) if self.options.players else None
        self.tokens = [one["token"] for one in players(host, users, kept)]


run = Run()


class Body:
    """A request's body whose video nobody copies: everybody sends the same memory."""

    def __init__(self, *, fields: dict[str, str], file_field: str, video: memoryview) -> None:
        text = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head = (text + VIDEO_HEAD.format(field=file_field)).encode()
        self._length = len(head) + len(video) + len(TAIL)
        self._pieces = _pieces(head, video)

    def __len__(self) -> int:
        return self._length

    def read(self, _size: int) -> memoryview | bytes:
        """Return the next piece, as large as it is good to send; nothing at the end."""
        return next(self._pieces, b"")


def _pieces(head: bytes, video: memoryview) -> Iterator[memoryview | bytes]:
    yield head
    for begin in range(0, len(video), PIECE_BYTES):
        yield video[begin : begin + PIECE_BYTES]
    yield TAIL


# --- players --------------------------------------------------------------------------------------------------


def players(host: str, count: int, kept: Path | None) -> list[dict[str, Any]]:
    """Return so many accounts with fresh tokens; those of an earlier run first, the missing ones are made."""
    known: dict[str, list[dict[str, Any]]] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    accounts = known.setdefault(host, [])
    accounts += [{"email": f"carga-{uuid4().hex}@example.com", "password": uuid4().hex} for _ in range(count)][
        len(accounts) :
    ]
    with ThreadPoolExecutor(PLAYERS_AT_ONCE) as pool:
        list(pool.map(lambda account: _enter(host, account), accounts[:count]))
    if kept:
        kept.write_text(json.dumps(known))
    return accounts[:count]


def _enter(host: str, account: dict[str, Any]) -> None:
    """Sign up and log in, as far as there is no token that is still good."""
    if account.get("until", 0) > time.time():
        return
    login = {"email": account["email"], "password": account["password"]}
    if "until" not in account:
        person = {"first_name": "Carga", "last_name": "Prueba", "city": "Bogotá", "country": "Colombia"}
        passwords = {"password1": account["password"], "password2": account["password"]}
        _post(f"{host}/api/auth/signup", {**person, **passwords, "email": account["email"]})
    account["token"] = _post(f"{host}/api/auth/login", login)["access_token"]
    account["until"] = time.time() + TOKEN_SECONDS


def _post(url: str, body: dict[str, str]) -> Any:
    answer = requests.post(url, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


# --- users ----------------------------------------------------------------------------------------------------


class Player(FastHttpUser):
    """Somebody with an account."""

    abstract = True
    network_timeout = 65.0  # longer than nginx gives the application
    connection_timeout = 10.0
    max_redirects = 0

    def on_start(self) -> None:
        """Take an account and an address of their own."""
        number = random.randrange(len(run.tokens))  # noqa: S311 no secret
        self.headers = {"Authorization": f"Bearer {run.tokens.pop(number)}"}
        if run.options.forwarded_for:
            # Of the network that is kept for measurements, RFC 2544
            number = random.randrange(2**17)  # noqa: S311 no secret
            self.headers["X-Forwarded-For"] = str(ip_address("198.18.0.0") + number)

    def on_stop(self) -> None:
        """Give the account back."""
        run.tokens.append(self.headers["Authorization"].removeprefix("Bearer "))

    def upload_through_the_api(self) -> None:
        """Send a video whole."""
        body = Body(fields={"title": "Prueba de carga"}, file_field="video_file", video=run.video)
        self.client.post("/api/videos/upload", data=body, headers=self.headers | MULTIPART)  # type: ignore[arg-type] # whatever it can read

    def upload_to_the_store(self) -> None:
        """Reserve, post to the store, and complete."""
        wanted = {"title": "Prueba de carga", "size": len(run.video)}
        begun = self.client.post("/api/videos/uploads", json=wanted, headers=self.headers)
        if begun.status_code != 201:
            return
        form = begun.json()
        body = Body(fields=form["fields"], file_field="file", video=run.video)
        sent = self.client.post(form["url"], data=body, headers=MULTIPART, name=STORE)  # type: ignore[arg-type] # whatever it can read
        if sent.status_code == 204:
            path, name = f"/api/videos/uploads/{form['video_id']}/complete", "/api/videos/uploads/{id}/complete"
            self.client.post(path, headers=self.headers, name=name)


STORE = "almacenamiento"


def pause(_: Player) -> float:
    """Return the seconds until a user's next upload: a third more or less than their mean."""
    mean = run.options.pause_seconds
    return random.uniform(mean * 2 / 3, mean * 4 / 3)  # noqa: S311 no secret


class MultipartUploader(Player):
    """Uploads one video after another through the API."""

    wait_time = pause

    @task
    def upload(self) -> None:
        """Upload."""
        self.upload_through_the_api()


class DirectUploader(Player):
    """Uploads one video after another straight to the store."""

    wait_time = pause

    @task
    def upload(self) -> None:
        """Upload."""
        self.upload_to_the_store()


class Fan(Player):
    """Looks, votes, follows the ranking, and now and then uploads: a visit of which most is reading."""

    wait_time = between(1, 5)

    def on_start(self) -> None:
        """Have voted for nobody yet."""
        super().on_start()
        self.seen: list[str] = []

    @task(10)
    def look_at_the_gallery(self) -> None:
        """Ask for the newest videos, and remember them."""
        answer = self.client.get("/api/public/videos", headers=self.headers)
        if answer.status_code == 200 and not self.seen:
            self.seen = [one["video_id"] for one in answer.json()]
            random.shuffle(self.seen)

    @task(4)
    def look_at_the_ranking(self) -> None:
        """Ask who leads."""
        self.client.get("/api/public/rankings", headers=self.headers)

    @task(3)
    def vote(self) -> None:
        """Vote for a video that they have seen and not voted for."""
        if self.seen:
            path, name = f"/api/public/videos/{self.seen.pop()}/vote", "/api/public/videos/{id}/vote"
            with self.client.post(path, headers=self.headers, name=name, catch_response=True) as answer:
                if answer.status_code == 400:  # in an earlier stage, with the same account
                    answer.success()

    @task(2)
    def look_at_their_own(self) -> None:
        """Ask how their own videos are."""
        self.client.get("/api/videos", headers=self.headers)

    @task(1)
    def upload(self) -> None:
        """Upload straight to the store, as the site does."""
        if run.video:
            self.upload_to_the_store()


# --- what was seen --------------------------------------------------------------------------------------------


def prepare(environment: Environment, **_: Any) -> None:
    """Be ready before the first user comes and the clock runs."""
    run.prepare(environment)


def begin(**_: Any) -> None:
    """Start the clock."""
    run.begun = time.time()


def tidy(**_: Any) -> None:
    """Delete what the players have uploaded, if that is asked for."""
    if run.options.tidy:
        with ThreadPoolExecutor(PLAYERS_AT_ONCE) as pool:
            list(pool.map(_delete_videos, run.tokens))


def _delete_videos(token: str) -> None:
    """Delete a player's videos, but those that were processed: nobody may delete these."""
    videos, headers = f"{run.host}/api/videos", {"Authorization": f"Bearer {token}"}
    for video in requests.get(videos, headers=headers, timeout=60).json():
        requests.delete(f"{videos}/{video['video_id']}", headers=headers, timeout=60)


def note(
    *,
    request_type: str,
    name: str,
    response_time: float,
    start_time: float,
    exception: Exception | None = None,
    response: Any = None,
    **_: Any,
) -> None:
    """Keep what a request came to."""
    status = getattr(response, "status_code", 0) or 0
    run.samples.append(
        Sample(
            started_seconds=round(start_time - run.begun, 3),
            seconds=round(response_time / 1000, 4),
            name=f"{request_type} {name}",
            status=status,
            failure="" if status or exception is None else failure(exception),
            is_of_store=name == STORE,
        )
    )


def failure(error: BaseException) -> str:
    """Return how a request failed that had no answer."""
    return Failure.TIMEOUT if isinstance(error, TimeoutError) or "timed out" in str(error) else Failure.RESET


def judge(environment: Environment, **_: Any) -> None:
    """Say what broke, and let the exit code say it."""
    options = run.options
    full_after = (options.num_users or 1) / (options.spawn_rate or 1)
    held = observe(one for one in run.samples if one.started_seconds >= full_after)
    broken, first = held.broken(), first_degraded(run.samples)
    if options.record:
        with gzip.open(options.record, "wt") as file:
            json.dump(
                {
                    "begun_at": run.begun,
                    "full_after_seconds": full_after,
                    "samples": [asdict(one) for one in run.samples],
                },
                file,
            )
    sys.stdout.write(f"p95 {held.p95_seconds:.3f} s, {held.error_share:.2%} errors of {held.requests}: ")
    sys.stdout.write(
        f"{', '.join(broken) or 'every criterion holds'}; first to degrade: {first[0] if first else '-'}\n"
    )
    environment.process_exit_code = 1 if broken or not held.requests else 0


events.init_command_line_parser.add_listener(add_arguments)
events.init.add_listener(prepare)
events.test_start.add_listener(begin)
events.test_stop.add_listener(tidy)
events.request.add_listener(note)
events.quitting.add_listener(judge)
