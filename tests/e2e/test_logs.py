"""No log holds a person, whatever breaks: every field has a canary, and every part's lines are looked through."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import imageio_ffmpeg
import pytest
import requests

from local.system import running_system
from tests.waiting import until

TABLES = ("users", "videos", "login_failures", "votes", "standings", "uncounted_votes")


class Canaries:
    """Words that stand nowhere else, by the field that they are planted in."""

    def __init__(self):
        self._words = {}

    def __getitem__(self, field):
        # In small letters, as e-mails are kept
        return self._words.setdefault(field, f"canary-{field}-{uuid4().hex[:8]}".lower())

    def found_in(self, text):
        return {field for field, word in self._words.items() if word in text.lower()}


@pytest.fixture(scope="module")
def canaries():
    return Canaries()


@pytest.fixture(scope="module")
def printed():
    """The lines of all parts, each after its part's name."""
    return []


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The folder of what the system stores."""
    return tmp_path_factory.mktemp("system")


@pytest.fixture(scope="module")
def system(state, printed):
    with running_system(state, echo=lambda part, line: printed.append(f"{part}: {line}")) as system:
        yield system


@pytest.fixture(scope="module")
def send(system, canaries):
    """Send a request with canaries where any may have them."""

    def request(method, path, *, token=canaries["token"], **sent):
        headers = {
            "Authorization": f"Bearer {token}",
            "Cookie": f"session={canaries['cookie']}",
            "Idempotency-Key": f"{canaries['key']}-{uuid4().hex}",
            "Referer": f"http://example.com/{canaries['referer']}",
            "User-Agent": canaries["agent"],
            "X-Forwarded-For": canaries["forwarded"],
        }
        query = {name: canaries[name] for name in ("city", "access_token")}
        return requests.request(method, system.url + path, params=query, headers=headers, timeout=60, **sent)

    return request


@pytest.fixture(scope="module")
def account(canaries):
    names = {name: canaries[name] for name in ("first_name", "last_name", "country")}
    password = canaries["password"]
    return {
        **names,
        "city": canaries["home"],
        "email": f"{canaries['email']}@example.com",
        "password1": password,
        "password2": password,
    }


@pytest.fixture(scope="module")
def login(account):
    return {"email": account["email"], "password": account["password1"]}


@pytest.fixture(scope="module")
def token(send, account, login):
    assert send("POST", "/api/auth/signup", json=account).status_code == 201
    assert send("POST", "/api/auth/signup", json=account).status_code == 400
    assert send("POST", "/api/auth/login", json={**login, "password": account["email"]}).status_code == 401
    return send("POST", "/api/auth/login", json=login).json()["access_token"]


@pytest.fixture(scope="module")
def clip(clips, canaries, tmp_path_factory):
    """A good clip that says whose it is, under a name that does so too."""
    path = tmp_path_factory.mktemp("clip") / f"{canaries['file_name']}.mp4"
    names = ("title", "artist", "comment", "description", "location")
    metadata = [word for name in names for word in ("-metadata", f"{name}={canaries[f'metadata_{name}']}")]
    handler = ("-metadata:s:v", f"handler_name={canaries['metadata_handler']}")
    source = ("-i", str(clips["good"]), "-map", "0", "-codec", "copy")
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-v", "error", *source, *metadata, *handler, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def bad_clip(clip, tmp_path_factory):
    """The same with pictures that no decoder knows."""
    content = clip.read_bytes()
    begin, end = content.index(b"mdat") + 4, content.rindex(b"moov") - 4
    path = tmp_path_factory.mktemp("bad") / clip.name
    path.write_bytes(content[:begin] + b"\xff" * (end - begin) + content[end:])
    return path


@pytest.fixture(scope="module")
def upload(send, token, canaries):
    def post(clip):
        with clip.open("rb") as file:
            return send(
                "POST",
                "/api/videos/upload",
                token=token,
                data={"title": canaries["title"], "extra": canaries["form_field"]},
                files={"video_file": (clip.name, file)},
            )

    return post


@pytest.fixture(autouse=True)
def silent(state, printed, canaries, token):
    """Nothing that the test does leaves a canary, the token or a hash in any line or log file."""
    printed.clear()
    yield
    files = [path for path in state.rglob("*") if path.suffix in {".log", ".err"} and path.is_file()]
    assert files
    lines = [*printed, *(line for path in files for line in path.read_text(errors="replace").splitlines())]
    leaks = {line[:500]: found for line in lines if (found := canaries.found_in(line))}
    leaks |= {line[:500]: "hash" for line in lines if "$argon2" in line}
    leaks |= {line[:500]: "token" for line in lines if token in line}
    assert leaks == {}


def said(printed, *words):
    return [line for line in list(printed) if all(word in line for word in words)]


def test_when_all_is_well(send, upload, clip, token, canaries, printed):
    video_id = upload(clip).json()["video_id"]
    until(lambda: said(printed, video_id, '"processed"'))
    send("GET", "/api/public/rankings")
    send("GET", f"/api/public/videos?cursor={canaries['cursor']}")
    send("GET", "/")
    send("GET", "/ranking")

    voted = send("POST", f"/api/public/videos/{video_id}/vote", token=token)

    assert voted.status_code == 200
    until(lambda: said(printed, "nginx", "/vote", voted.headers["X-Request-Id"]))


def test_when_a_client_sends_nonsense(system, state, send, token, canaries, printed):
    word = canaries["nonsense"]
    send("POST", "/api/auth/signup", json={word: word, "email": word})
    send("POST", "/api/auth/signup", data=f'{{"{word}": {word}')
    send("POST", "/api/auth/login", json={"email": word, "password": word})
    send("POST", "/api/videos/uploads", token=token, json={"title": f"{word}\u202e", "size": word})
    send("POST", "/api/videos/upload", token=token, data={"title": word}, files={"video_file": (word, word.encode())})
    send("GET", f"/api/public/rankings?page={word}&city={'x' * 9000}{word}")
    address = urlsplit(system.url)
    web_port = int((state / "ports" / "web").read_text())
    for line in (
        f"GET /api/public/rankings?city=Bogotá-{word} HTTP/1.1",
        f"GET /api/public/rankings?city={word} HTTP/9.9",
        f"NONSENSE /?city={word} HTTP/1.1",
        f"GET /?city={'y' * 20_000}{word} HTTP/1.1",
        f"GET /?city={word} HTTP/1.1\r\n{word} : {word}",
        f"GET /?city={word} HTTP/1.1\r\nTransfer-Encoding: {word}",
        f"POST /api/auth/login?city={word} HTTP/1.1\r\nContent-Length: {word}",
    ):
        for port in (address.port, web_port):
            with (
                closing(socket.create_connection((address.hostname, port), timeout=10)) as connection,
                suppress(OSError),  # what it thinks of the rest is not the question
            ):
                connection.sendall(f"{line}\r\nHost: x\r\nX-Name: {word}\r\n\r\n".encode())
                while connection.recv(65536):
                    pass

    until(lambda: said(printed, "nginx", "/api/auth/signup", "400"))


def test_when_the_database_stalls(system, send, upload, account, login, clip, token, printed):
    requests_to = {
        "sign-up": lambda: send("POST", "/api/auth/signup", json={**account, "email": f"b{account['email']}"}),
        "login": lambda: send("POST", "/api/auth/login", json=login),
        "upload": lambda: upload(clip),
        "reservation": lambda: send("POST", "/api/videos/uploads", token=token, json={"title": clip.stem, "size": 9}),
        "ranking": lambda: send("GET", "/api/public/rankings"),
    }
    with system.database.connect() as connection, ThreadPoolExecutor(len(requests_to)) as threads:
        connection.cursor().execute("LOCK TABLES " + ", ".join(f"anb.{table} WRITE" for table in TABLES))
        answers = [threads.submit(request) for request in requests_to.values()]
        statuses = {name: answer.result().status_code for name, answer in zip(requests_to, answers, strict=True)}
        connection.cursor().execute("UNLOCK TABLES")

    assert statuses == dict.fromkeys(requests_to, 503)
    until(lambda: said(printed, "web", "a part is away", "OperationalError: 2013"))


def test_when_the_database_refuses_a_value(system, send, account, printed):
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER anb.refuse BEFORE INSERT ON anb.users FOR EACH ROW BEGIN "
            "DECLARE problem VARCHAR(120) DEFAULT CONCAT('wrong: ', NEW.email); "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = problem; END"
        )
        new = {**account, "email": f"c{account['email']}"}
        assert send("POST", "/api/auth/signup", json=new).status_code == 503
        cursor.execute("DROP TRIGGER anb.refuse")

    until(lambda: said(printed, "web", "a part is away"))


def test_when_the_database_is_gone(system, send, login, printed):
    system.stop("database")
    try:
        refused = send("POST", "/api/auth/login", json=login)
    finally:
        system.start("database")

    assert refused.status_code == 503
    until(lambda: said(printed, "web", "a part is away", refused.headers["X-Request-Id"]))


def test_when_the_store_is_gone(system, upload, clip, printed):
    system.stop("emulator")
    try:
        assert upload(clip).status_code == 503
    finally:
        system.start("emulator")

    until(lambda: said(printed, "web", "a part is away", "EndpointConnectionError"))


def test_when_the_queue_is_gone_or_holds_nonsense(system, upload, clip, canaries, printed):
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    with closing(boto3.client("sqs", endpoint_url=system.emulator.endpoint, **keys)) as sqs:
        sqs.delete_queue(QueueUrl=system.environment["ANB_QUEUE_URL"])
        assert upload(clip).status_code == 201
        until(lambda: said(printed, "web", "could not enqueue"))

        system.emulator.create_resources()
        sqs.send_message(QueueUrl=system.environment["ANB_QUEUE_URL"], MessageBody=canaries["message"])
        until(lambda: said(printed, "worker", "unreadable message"))


def test_when_ffmpeg_fails(upload, bad_clip, printed):
    video_id = upload(bad_clip).json()["video_id"]

    until(lambda: said(printed, "worker", video_id, '"failed"'))
    until(lambda: said(printed, "worker", "ffmpeg refused a file"))


def test_when_the_api_is_gone(system, send, account, printed):
    system.stop("web")
    try:
        assert send("POST", "/api/auth/signup", json=account).status_code == 503
    finally:
        system.start("web")

    until(lambda: said(printed, "nginx", "/api/auth/signup", "503"))
