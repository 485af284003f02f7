"""The product's parts, real ones, and factories that hide the values which do not matter."""

import io
import os
import threading
from uuid import uuid4

import boto3
import pytest
import requests
import urllib3
from botocore.config import Config
from flask.testing import FlaskClient
from sqlalchemy import insert, select, text, update

from anb import accounts, videos
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
from local.samples import make_sample
from tests.integration.described import Description
from tests.leases import lease
from tests.people import NAMES, PASSWORD

PASSWORD_HASH = accounts.hash_password(PASSWORD)


@pytest.fixture(scope="module")
def migrated(database_url):
    """The engine, over tables that keep what the tests of a module have written."""
    engine = connect(database_url, pool_size=20)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(migrated):
    """The engine, over tables that are empty when the test begins."""
    with migrated.begin() as connection:
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f"TRUNCATE {table.name}"))
        connection.execute(text("SET FOREIGN_KEY_CHECKS = 1"))
    return migrated


@pytest.fixture
def aws(emulator, monkeypatch):
    """The emulator, empty, as boto3's default."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    emulator.reset()
    return emulator


@pytest.fixture
def storage(aws):
    client = boto3.client("s3", config=Config(signature_version="s3v4"))
    yield S3Storage(client, aws.environment["ANB_MEDIA_BUCKET"])
    client.close()


@pytest.fixture
def keys(aws):
    """Return the keys of all stored objects."""

    def listed():
        bucket = boto3.resource("s3").Bucket(aws.environment["ANB_MEDIA_BUCKET"])
        return {item.key for item in bucket.objects.all()}

    return listed


@pytest.fixture
def jobs(aws):
    client = boto3.client("sqs")
    yield SqsJobs(client, aws.environment["ANB_QUEUE_URL"])
    client.close()


@pytest.fixture
def requests_sent(monkeypatch):
    """Return the list of HTTP requests of this process from here on."""
    sent = []
    send = urllib3.HTTPConnectionPool.urlopen

    def counting(pool, method, url, *args, **kwargs):
        sent.append((method, url))
        return send(pool, method, url, *args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", counting)
    return sent


@pytest.fixture
def make_user(engine):
    def make(**values):
        user = {**NAMES, "email": f"{uuid4().hex}@example.com", "password_hash": PASSWORD_HASH, **values}
        with engine.begin() as connection:
            user_id = connection.execute(insert(User).values(user)).lastrowid
            return connection.execute(select(User).where(User.id == user_id)).one()

    return make


@pytest.fixture
def make_video(engine, make_user):
    """Return a factory of rows; a processed one has gone through claim and finish."""

    def make(*, owner=None, status=Status.UPLOADED, title="Mi mejor tiro", **values):
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
        return video_row(engine, video_id)

    return make


@pytest.fixture
def row(engine):
    """Return a video's row as it is now, or None."""
    return lambda video: video_row(engine, video.id)


def video_row(engine, video_id):
    with engine.begin() as connection:
        return connection.execute(select(Video).where(Video.id == video_id)).one_or_none()


@pytest.fixture
def post(aws, storage):  # noqa: ARG001 for an emulator that is there
    """Post a file with a form, as a client does straight to the object store; return the status."""

    def send(form, content):
        return requests.post(form["url"], data=form["fields"], files={"file": content}, timeout=10).status_code

    return send


@pytest.fixture
def store(storage):
    """Put an object where the video's source, or an attempt's result, belongs."""

    def put(video_id, content=b"content", *, attempt=None):
        key = source_key(video_id, None) if attempt is None else processed_key(video_id, attempt)
        storage.put(key, io.BytesIO(content), content_type="video/mp4")
        return key

    return put


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("clips") / "short.mp4", seconds=1, width=640, height=360).read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("clips") / "long.mp4", seconds=25, fps=10).read_bytes()


@pytest.fixture
def enqueue(make_video, store, jobs):
    """Enqueue the job of a video, by default of a new one with this content."""

    def send(content=None, *, video=None):
        video = video or make_video()
        if content is not None:
            store(video.id, content)
        jobs.send([Job(video_id=video.id, request_id="request-1")])
        return video

    return send


@pytest.fixture
def make_worker(engine, storage, jobs, tmp_path):
    def make(*, stop=None, timings=Timings(), **options):
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
def any_clip_will_do(monkeypatch):
    """Short and small clips keep what is said of the loop fast."""
    monkeypatch.setattr(videos, "SHORTEST_SECONDS", 0)
    monkeypatch.setattr(videos, "SMALLEST_SIDE_PIXELS", 1)


@pytest.fixture
def app(engine, storage, jobs):
    settings = WebSettings(
        database_url="unused", media_bucket="unused", queue_url="unused", jwt_secret=os.urandom(32).hex()
    )
    app = create_app(settings, dependencies=Dependencies(engine=engine, storage=storage, jobs=jobs))
    app.testing = False  # errors become answers, as in production
    app.test_client_class = DescribedClient
    return app


class DescribedClient(FlaskClient):
    """Fails the test when an answer is not what openapi.json describes."""

    def open(self, *args, **kwargs):
        response = super().open(*args, **{"buffered": True, **kwargs})  # files are read and closed
        problems = Description.ours().problems(response, self.application.url_map)
        assert not problems, "\n".join(problems)
        return response


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def signed_in(app):
    """Return the headers with which a user calls."""

    def headers(user):
        with app.app_context():
            return {"Authorization": f"Bearer {issue(user.id)}"}

    return headers
