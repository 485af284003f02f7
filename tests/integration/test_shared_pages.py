"""The pages that people share: one for each video, one for each player."""

import re
from html import unescape

import pytest
import requests
from sqlalchemy import update

from anb.models import Status, Video
from anb.storage import JPEG, thumbnail_key

PAGE = {"Accept": "text/html"}


@pytest.fixture
def entry(make_user, make_video):
    player = make_user(first_name="Luz", last_name="Peña", city="Tunja")
    return make_video(owner=player, status=Status.PROCESSED, title='Triple "a tabla" & <gancho>')


def meta(page):
    """Return what the page says of itself to whoever shows it as a card."""
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)">', page.text)
    return dict(found) | {"canonical": re.findall(r'<link rel="canonical" href="([^"]+)">', page.text)[0]}


def test_a_video_has_a_page_that_says_what_a_card_of_it_shows(client, entry):
    page = client.get(f"/videos/{entry.id}", headers=PAGE)

    said = meta(page)
    assert page.status_code == 200
    assert said["og:title"] == "Triple &#34;a tabla&#34; &amp; &lt;gancho&gt; · Luz Peña"
    assert said["canonical"] == said["og:url"] == f"http://localhost/videos/{entry.id}"
    assert said["og:image"] == said["twitter:image"] == f"http://localhost/videos/{entry.id}/picture.jpg"
    assert said["twitter:card"] == "summary_large_image"
    assert f'href="/jugadores/{entry.user_id}"' in page.text


def test_a_videos_page_asks_for_that_one_alone_whether_its_reader_has_voted(client, entry, make_user, make_video):
    for owner in (make_user(), make_user()):
        make_video(owner=owner, status=Status.PROCESSED, title=entry.title, processed_at=entry.processed_at)
    page = client.get(f"/videos/{entry.id}", headers=PAGE)

    [asked] = re.findall('data-listed="([^"]+)"', page.text)
    assert [item["video_id"] for item in client.get(unescape(asked)).json] == [str(entry.id)]


def test_a_page_tells_its_address_as_each_visitor_writes_it(client, entry):
    for host in ("anb.example.org", "anb.example.com"):
        page = client.get(f"/videos/{entry.id}", headers={**PAGE, "Host": host, "X-Forwarded-Proto": "https"})

        assert meta(page)["canonical"] == f"https://{host}/videos/{entry.id}"


def test_the_picture_of_a_card_has_an_address_that_lasts_and_leads_to_the_stored_one(
    client, entry, storage, tmp_path
):
    (tmp_path / "picture").write_bytes(b"a picture")
    with (tmp_path / "picture").open("rb") as file:
        storage.put(thumbnail_key(entry.id, entry.attempt), file, content_type=JPEG)

    answer = client.get(f"/videos/{entry.id}/picture.jpg")

    assert answer.status_code == 302
    assert requests.get(answer.headers["Location"], timeout=10).content == b"a picture"
    assert int(answer.headers["Cache-Control"].rpartition("=")[2]) < 600
    assert client.get(f"/videos/{entry.id}/clip.mp4").status_code == 302


@pytest.mark.parametrize("part", ["", "/picture.jpg", "/clip.mp4"])
@pytest.mark.parametrize("status", [Status.FAILED, Status.DELETED])
def test_a_video_that_was_taken_down_is_gone_with_a_sentence(client, engine, entry, status, part):
    with engine.begin() as connection:
        connection.execute(update(Video).where(Video.id == entry.id).values(status=status))

    answer = client.get(f"/videos/{entry.id}{part}", headers=PAGE)

    assert answer.status_code == 410
    assert "Este video se retiró y ya no está disponible." in answer.text
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize("status", [s for s in Status if s != Status.PROCESSED])
def test_a_video_that_was_never_public_has_no_page(client, make_video, status):
    assert client.get(f"/videos/{make_video(status=status).id}", headers=PAGE).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/videos/7d9f6a52-3c1b-4e0a-9d5e-2f8b6c4a1e30", "/videos/x", "/jugadores/0", "/jugadores/x", "/jugadores/99999"],
)
def test_what_is_not_there_is_not_found(client, path):
    assert client.get(path, headers=PAGE).status_code == 404


def test_a_player_has_a_page_with_the_public_videos_to_which_the_ranking_leads(client, entry, make_user, make_video):
    hidden = make_video(owner=make_user(), status=Status.FAILED)
    path = f"/jugadores/{entry.user_id}"

    page = client.get(path, headers=PAGE)

    assert f'href="/videos/{entry.id}"' in page.text
    assert str(hidden.id) not in page.text
    assert meta(page)["og:title"] == "Luz Peña"
    assert meta(page)["og:image"] == f"http://localhost/videos/{entry.id}/picture.jpg"
    for listed in ("/ranking", "/"):
        assert f'href="{path}"' in client.get(listed, headers=PAGE).text


def test_the_ranking_of_the_api_has_its_four_keys_and_no_more(client, entry):  # noqa: ARG001 a place in the ranking
    (place,) = client.get("/api/public/rankings").json

    assert set(place) == {"position", "username", "city", "votes"}
