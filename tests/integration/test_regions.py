"""A region other than us-east-1, where S3's global host sends requests for a new bucket away."""

import io

import boto3
import pytest
import requests
from botocore.config import Config

from anb.aws import credentials, serving_s3_client
from anb.storage import S3Storage
from tests.regional_store import running_store

REGION, BUCKET = "us-west-2", "anb-media-in-the-west"


@pytest.fixture
def store(aws, jobs, monkeypatch, tmp_path):  # noqa: ARG001 the queue's client is made while the emulator is its region
    """S3 of the region, which botocore finds by AWS's own names."""
    with running_store(region=REGION, bucket=BUCKET, emulator=aws.endpoint, folder=tmp_path) as store:
        for name in ("AWS_ENDPOINT_URL", "NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def storage(store):  # noqa: ARG001 for the environment
    client = serving_s3_client()
    yield S3Storage(client, BUCKET, credentials())
    client.close()


@pytest.fixture
def browser(store):
    """Ask as a page does that may connect to the store's origin alone: a redirect leads nowhere."""
    with requests.Session() as session:
        session.trust_env = False  # which would come before what is said here
        session.proxies, session.verify = {"https": store.url}, str(store.authority)

        def send(method, url, **sent):
            return session.request(method, url, allow_redirects=False, timeout=30, **sent)

        yield send


@pytest.mark.usefixtures("any_clip_will_do")
def test_a_direct_upload_and_its_clip_stay_in_the_region(
    store, browser, client, signed_in, make_user, make_worker, jobs, short_clip
):
    headers = signed_in(make_user())
    begun = client.post(
        "/api/videos/uploads", json={"title": "Mi tiro", "size": len(short_clip)}, headers=headers
    ).json
    posted = browser("POST", begun["url"], data=begun["fields"], files={"file": short_clip})
    completed = client.post(f"/api/videos/uploads/{begun['video_id']}/complete", headers=headers)
    make_worker().handle(jobs.receive(wait_seconds=2))
    video = client.get(f"/api/videos/{begun['video_id']}", headers=headers).json
    clip, original = (browser("GET", video[name]) for name in ("processed_url", "original_url"))

    assert (posted.status_code, completed.status_code, video["status"]) == (204, 201, "processed")
    assert (clip.status_code, clip.content[4:8], clip.headers["Content-Type"]) == (200, b"ftyp", "video/mp4")
    assert original.content == short_clip
    assert store.hosts == {f"{BUCKET}.s3.{REGION}.amazonaws.com"}


def test_pages_may_connect_to_the_regions_host_alone(store, client):
    policy = client.get("/").headers["Content-Security-Policy"]

    assert f"connect-src 'self' https://{store.host};" in policy
    assert store.global_host not in policy


def test_the_global_host_sends_requests_away_and_its_links_are_worth_nothing_elsewhere(store, storage, browser):
    """What botocore makes of a region by itself, and what S3 makes of that."""
    elsewhere = boto3.client("s3", config=Config(signature_version="s3v4"))
    link = elsewhere.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "k"})
    storage.put("k", io.BytesIO(b"content"), content_type="video/mp4")

    redirected = browser("GET", link)
    there = browser("GET", redirected.headers["Location"])

    assert (redirected.status_code, "TemporaryRedirect" in redirected.text) == (307, True)
    assert redirected.headers["Location"].startswith(f"https://{store.host}/k?")
    assert (there.status_code, "SignatureDoesNotMatch" in there.text) == (403, True)
    assert browser("GET", storage.link("k")).status_code == 200
