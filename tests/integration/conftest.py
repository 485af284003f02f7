"""The product's parts, real ones, and factories that hide the values which do not matter."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
import requests
import urllib3
from botocore.config import Config
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, Row, insert, select, text, update
from werkzeug.test import TestResponse

from anb import accounts, videos
from anb.aws import credentials
from anb.database import connect
from anb.jobs import Job, SqsJobs
from anb.lifecycle import finish
from anb.migrations import upgrade
from anb.models import Base, Status, User, Video, now
from anb.storage import S3Storage, processed_key, source_key
from anb.timings import Timings
from anb_web import create_app
from anb_web.dependencies import Dependencies
from anb_web.settings import WebSettings
from anb_web.tokens import issue
from anb_worker.loop import Worker
from demo.samples import make_sample
from local.emulator import Emulator
from tests import aws_calls
from tests.integration.described import Description
from tests.leases import lease
from tests.people import NAMES, PASSWORD

MakeUser = Callable[..., Row[Any]]
MakeVideo = Callable[..., Row[Any]]
Store = Callable[..., str]

PASSWORD_HASH = accounts.hash_password(PASSWORD)


@pytest.fixture(scope="session")
def recorder(pytestconfig: pytest.Config) -> Iterator[aws_calls.Recorder]:
    """What notes the AWS calls of the product."""
    is_recording = pytestconfig.getoption("record_aws_calls")
    if is_recording and hasattr(pytestconfig, "workerinput"):
        pytest.exit("one process alone hears all calls: record without -n")
    recorder = aws_calls.Recorder()
    with recorder.listening():
        yield recorder
    if is_recording:
        aws_calls.write(recorder.calls)


@pytest.fixture(autouse=True)
def aws_calls_are_written_down(recorder: aws_calls.Recorder, pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail the test in which the product makes a call that production's rights are not held to."""
    is_recording = pytestconfig.getoption("record_aws_calls")
    if not is_recording:
        recorder.calls.clear()
    yield
    if not is_recording:
        unknown = recorder.calls - aws_calls.read()
        assert not unknown, "not in tests/aws_calls.json: see tests/aws_calls.py"


@pytest.fixture(scope="module")
def migrated(database_url: str) -> Iterator[Engine]:
    """The engine, over tables that keep what the tests of a module have written."""
    engine = connect(database_url, pool_size=20)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    """The engine, over tables that are empty when the test begins."""
    with migrated.begin() as connection:
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f"TRUNCATE {table.name}"))
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 1"))
    return migrated


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, empty, as boto3's default."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    emulator.reset()
    return emulator


@pytest.fixture
def storage(aws: Emulator) -> Iterator[S3Storage]:
    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    yield S3Storage(client, aws.environment["ANB_MEDIA_BUCKET"], credentials())
    client.close()


@pytest.fixture
def keys(aws: Emulator) -> Callable[[], set[str]]:
    """Return the keys of all stored objects."""

    def listed() -> set[str]:
        bucket = boto3.resource("s3").Bucket(aws.environment["ANB_MEDIA_BUCKET"])
        return {item.key for item in bucket.objects.all()}

    return listed


@pytest.fixture
def jobs(aws: Emulator) -> Iterator[SqsJobs]:
    client = boto3.client("sqs")
    yield SqsJobs(client, aws.environment["ANB_QUEUE_URL"])
    client.close()


@pytest.fixture
def requests_sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the list of HTTP requests of this process from here on."""
    sent: list[tuple[str, str]] = []
    send = urllib3.HTTPConnectionPool.urlopen

    def counting(
        pool: urllib3.HTTPConnectionPool, method: str, url: str, *args: Any, **kwargs: Any
    ) -> urllib3.BaseHTTPResponse:
        sent.append((method, url))
        return send(pool, method, url, *args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", counting)
    return sent


@pytest.fixture
def make_user(engine: Engine) -> MakeUser:
    def make(**values: Any) -> Row[Any]:
        user = {**NAMES, "email": f"{uuid4().hex}@example.com", "password_hash": PASSWORD_HASH, **values}
        with engine.begin() as connection:
            user_id = connection.execute(insert(User).values(user)).lastrowid
            return connection.execute(select(User).where(User.id == user_id)).one()

    return make


@pytest.fixture
def make_video(engine: Engine, make_user: MakeUser) -> MakeVideo:
    """Return a factory of rows; a processed one has gone through claim and finish."""

    def make(
        *,
        owner: Row[Any] | None = None,
        status: Status = Status.UPLOADED,
        title: str = "Mi mejor tiro",
        **values: Any,
    ) -> Row[Any]:
        owner = owner or make_user()
        begun = Status.UPLOADED if status == Status.PROCESSED else status
        video_id = uuid4()
        video = {"id": video_id, "user_id": owner.id, "title": title, "status": begun, "request_id": "test-request"}
        if status != Status.AWAITING_UPLOAD:
            video["uploaded_at"] = now()
        with engine.begin() as connection:
            connection.execute(insert(Video).values(video))
        if status == Status.PROCESSED:
            with engine.begin() as connection:
                finish(connection, lease(connection, video_id))
        if values:
            with engine.begin() as connection:
                connection.execute(update(Video).where(Video.id == video_id).values(**values))
        made = video_row(engine, video_id)
        assert made
        return made

    return make


@pytest.fixture
def row(engine: Engine) -> Callable[[Row[Any]], Row[Any] | None]:
    """Return a video's row as it is now, or None."""
    return lambda video: video_row(engine, video.id)


def video_row(engine: Engine, video_id: UUID) -> Row[Any] | None:
    with engine.begin() as connection:
        return connection.execute(select(Video).where(Video.id == video_id)).one_or_none()


@pytest.fixture
def post(storage: S3Storage) -> Callable[[dict[str, Any], bytes], int]:  # noqa: ARG001 for an emulator that is there
    """Post a file with a form, as a client does straight to the object store; return the status."""

    def send(form: dict[str, Any], content: bytes) -> int:
        return requests.post(form["url"], data=form["fields"], files={"file": content}, timeout=10).status_code

    return send


@pytest.fixture
def store(storage: S3Storage) -> Store:
    """Put an object where the video's source, or an attempt's result, belongs."""

    def put(video_id: UUID, content: bytes = b"content", *, attempt: int | None = None) -> str:
        key = source_key(video_id, None) if attempt is None else processed_key(video_id, attempt)
        storage.put(key, io.BytesIO(content), content_type="video/mp4")
        return key

    return put


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_sample(tmp_path_factory.mktemp("clips") / "short.mp4", seconds=1, width=640, height=360).read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_sample(tmp_path_factory.mktemp("clips") / "long.mp4", seconds=25, fps=10).read_bytes()


@pytest.fixture
def enqueue(make_video: MakeVideo, store: Store, jobs: SqsJobs) -> Callable[..., Row[Any]]:
    """Enqueue the job of a video, by default of a new one with this content."""

    def send(content: bytes | None = None, *, video: Row[Any] | None = None) -> Row[Any]:
        video = video or make_video()
        if content is not None:
            store(video.id, content)
        jobs.send([Job(video_id=video.id, request_id="request-1")])
        return video

    return send


@pytest.fixture
def make_worker(engine: Engine, storage: S3Storage, jobs: SqsJobs, tmp_path: Path) -> Callable[..., Worker]:
    def make(*, stop: threading.Event | None = None, timings: Timings = Timings(), **options: Any) -> Worker:
        return Worker(
            engine=engine,
            storage=storage,
            jobs=jobs,
            scratch=tmp_path / "scratch",
            owner="test",
            stop=stop or threading.Event(),
            timings=timings,
            **options,
        )

    return make


@pytest.fixture
def any_clip_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short and small clips keep what is said of the loop fast."""
    monkeypatch.setattr(videos, "MIN_SECONDS", 0)
    monkeypatch.setattr(videos, "MIN_SIDE_PIXELS", 1)


@pytest.fixture
def app(engine: Engine, storage: S3Storage, jobs: SqsJobs) -> Flask:
    settings = WebSettings(
        database_url="unused",
        media_bucket="unused",
        queue_url="unused",
        jwt_secret=os.urandom(32).hex(),
        address_secret=os.urandom(32).hex(),
    )
    made = Dependencies(engine=engine, storage=storage, jobs=jobs, address_key=settings.address_secret)
    app = create_app(settings, dependencies=made)
    app.testing = False  # errors become answers, as in production
    app.test_client_class = DescribedClient
    return app


class DescribedClient(FlaskClient):
    """Fails the test when an answer is not what openapi.json describes."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **{"buffered": True, **kwargs})  # files are read and closed
        problems = Description.ours().problems(response, self.application.url_map)
        assert not problems, "\n".join(problems)
        return response


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def signed_in(app: Flask) -> Callable[[Row[Any]], dict[str, str]]:
    """Return the headers with which a user calls."""

    def headers(user: Row[Any]) -> dict[str, str]:
        with app.app_context():
            return {"Authorization": f"Bearer {issue(user.id)}"}

    return headers
