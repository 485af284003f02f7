"""Where everybody reads published videos: below an address that does not expire, where there is one."""

import os

import pytest
import requests

from anb.models import Status
from anb.storage import processed_key, thumbnail_key
from anb_web.dependencies import Dependencies
from anb_web.settings import WebSettings

MEDIA = "https://d111111abcdef8.cloudfront.net"


@pytest.fixture
def storage(aws):
    """Return the store of an API that is told where published videos are."""
    settings = WebSettings(
        database_url="mysql+pymysql://nobody@127.0.0.1/anb",
        media_bucket=aws.environment["ANB_MEDIA_BUCKET"],
        queue_url=aws.environment["ANB_QUEUE_URL"],
        jwt_secret=os.urandom(32).hex(),
        address_secret=os.urandom(32).hex(),
        media_url=MEDIA,
    )
    return Dependencies.from_settings(settings).storage


@pytest.fixture
def owner(make_user):
    return make_user()


@pytest.fixture
def video(make_video, owner):
    return make_video(owner=owner, status=Status.PROCESSED)


def test_the_public_list_leads_there(client, video):
    (listed,) = client.get("/api/public/videos").json

    assert listed["processed_url"] == f"{MEDIA}/{processed_key(video.id, video.attempt)}"
    assert listed["thumbnail_url"] == f"{MEDIA}/{thumbnail_key(video.id, video.attempt)}"


def test_a_players_own_list_leads_there(client, signed_in, owner, video):
    (listed,) = client.get("/api/videos", headers=signed_in(owner)).json

    assert listed["processed_url"] == f"{MEDIA}/{processed_key(video.id, video.attempt)}"


def test_an_original_is_read_by_its_owner_alone_and_for_a_while(client, signed_in, owner, video, store):
    store(video.id, b"original")

    link = client.get(f"/api/videos/{video.id}", headers=signed_in(owner)).json["original_url"]

    assert not link.startswith(MEDIA)
    assert requests.get(link, timeout=5).content == b"original"
    assert "X-Amz-Signature=" in link


def test_pages_may_load_from_there_and_from_the_store(client):
    policy = client.get("/").headers["Content-Security-Policy"]

    for what in ("img-src", "media-src", "connect-src"):
        (sources,) = [part for part in policy.split("; ") if part.startswith(what)]
        assert MEDIA in sources.split()
        assert any(source.startswith("http://127.0.0.1:") for source in sources.split())
