"""The store that drops everything looks like S3 to what talks to it."""

import io
from uuid import uuid4

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from anb.aws import REGIONAL_S3
from anb.storage import MP4, ObjectMissing, S3Storage
from capacity import sink
from local import console
from local.loopback import ADDRESS
from local.state import State
from local.supervisor import Supervisor

SIGNED = Config(signature_version="s3v4")  # forms, too, as the application signs them
SAMPLE = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sink")
    state, sample = State(folder / "state"), folder / "sample.mp4"
    sample.write_bytes(SAMPLE)
    port = state.port("sink")
    found = sink.service(port, key="test", samples=[sample], environment=state.environment())
    supervisor = Supervisor([found], write=console.ignore)
    try:
        supervisor.start_all()
        yield port
    finally:
        supervisor.stop_all()


def connect(port, secret="test"):
    session = boto3.session.Session("test", secret, region_name="us-east-1")
    client = session.client("s3", endpoint_url=f"http://{ADDRESS}:{port}", config=REGIONAL_S3.merge(SIGNED))
    return S3Storage(client, "media", Credentials("test", secret)), client


@pytest.fixture
def storage(port):
    found, client = connect(port)
    yield found
    client.close()


def key():
    return f"uploads/{uuid4()}/source.mp4"


def test_what_was_put_is_read_back_as_the_sample_of_its_size(storage):
    name = key()
    storage.put(name, io.BytesIO(bytes(len(SAMPLE))), content_type=MP4)

    opened = storage.open(name)
    assert opened.size_bytes == storage.size_bytes(name) == len(SAMPLE)
    assert opened.file.read() == SAMPLE
    opened.file.seek(300)
    assert opened.file.read(10) == SAMPLE[300:310]


def test_a_copy_is_an_object_of_its_own(storage):
    source, copy = key(), key()
    storage.put(source, io.BytesIO(SAMPLE), content_type=MP4)

    storage.copy(storage.open(source), copy, content_type=MP4)
    storage.delete([source.rpartition("/")[0]])

    assert storage.size_bytes(copy) == len(SAMPLE)
    with pytest.raises(ObjectMissing):
        storage.open(source)


def test_it_answers_that_it_has_the_bucket(storage):
    storage.ping()


def test_who_signs_with_another_secret_is_refused(port):
    stranger, client = connect(port, secret="wrong")

    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.put(key(), io.BytesIO(SAMPLE), content_type=MP4)
    client.close()


def post(storage, name, size, **fields):
    form = storage.upload_form(name, content_type=MP4, size_bytes=len(SAMPLE))
    return requests.post(form.url, data=form.fields | fields, files={"file": ("a.mp4", bytes(size))}, timeout=10)


def test_a_form_takes_a_file_of_exactly_its_size(storage):
    name = key()

    assert post(storage, name, len(SAMPLE)).status_code == 204
    assert storage.open(name).size_bytes == len(SAMPLE)
    assert post(storage, name, len(SAMPLE) + 1).status_code == 400


def test_a_form_that_was_tampered_with_is_refused(storage):
    assert post(storage, key(), len(SAMPLE), **{"x-amz-signature": "0" * 64}).status_code == 403


def test_it_forgets_everything_when_it_is_told_to(port, storage):
    name = key()
    storage.put(name, io.BytesIO(SAMPLE), content_type=MP4)

    sink.reset(port)

    with pytest.raises(ObjectMissing):
        storage.size_bytes(name)
