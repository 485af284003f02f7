"""The parts of a list: how they are asked for, where the next one is, and what is refused."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from anb.models import Status
from anb.search import Cursor

CURSOR = Cursor(datetime(2025, 3, 10, tzinfo=UTC), UUID(int=7)).to_text()
PUBLIC, OWN, RANKINGS = "/api/public/videos", "/api/videos", "/api/public/rankings"


@pytest.fixture
def player(make_user):
    return make_user()


@pytest.fixture
def published(make_video, player):
    """Make five public videos of the player; return their ids, newest first."""
    return [str(make_video(owner=player, status=Status.PROCESSED).id) for _ in range(5)][::-1]


@pytest.fixture
def get(client, signed_in, player):
    return lambda path: client.get(path, headers=signed_in(player))


def ids(response):
    assert response.status_code == 200, response.text
    return [item["video_id"] for item in response.json]


def next_of(response):
    link = re.fullmatch(r'<(/[^>]*)>; rel="next"', response.headers.get("Link", ""))
    return link and link[1]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("limit=2", slice(2)),
        ("page_size=2", slice(2)),
        ("size=2", slice(2)),
        ("limit=2&offset=1", slice(1, 3)),
        ("offset=4", slice(4, None)),
        ("offset=5", slice(0)),
        ("page=2&limit=2", slice(2, 4)),
        ("page=3&size=2", slice(4, None)),
        ("page=1", slice(None)),
        ("page=2", slice(0)),
        ("unknown=7", slice(None)),
    ],
)
def test_a_list_has_pages_and_offsets(get, published, query, chosen):
    assert ids(get(f"{PUBLIC}?{query}")) == published[chosen]
    assert ids(get(f"{OWN}?{query}")) == published[::-1][chosen]


def test_without_paging_the_own_list_is_whole(get, make_video, player):
    for _ in range(25):
        make_video(owner=player)

    assert len(ids(get(OWN))) == 25
    assert next_of(get(OWN)) is None
    assert len(ids(get(f"{OWN}?page=1"))) == 20


@pytest.mark.parametrize(
    ("path", "begin", "way"),
    [
        (PUBLIC, "limit=2", "cursor"),
        (PUBLIC, "limit=2&offset=0", "offset"),
        (PUBLIC, "page=1&page_size=2", "page"),
        (OWN, "limit=2", "offset"),
        (OWN, "page=1&limit=2", "page"),
    ],
)
def test_the_link_leads_to_the_next_page_in_the_same_way(get, published, path, begin, way):
    seen, following = [], f"{path}?{begin}"
    while following:
        response = get(following)
        seen += ids(response)
        following = next_of(response)
        assert following is None or f"{way}=" in following

    assert seen == (published if path == PUBLIC else published[::-1])


def test_beyond_the_deepest_offset_the_link_goes_on_by_cursor(get, published, monkeypatch):
    monkeypatch.setattr("anb_web.public.MAX_VIDEO_OFFSET", 2)

    response = get(f"{PUBLIC}?limit=2&offset=1")

    assert "cursor=" in next_of(response)
    assert ids(get(next_of(response))) == published[3:]


@pytest.mark.parametrize(
    ("path", "query", "wrong"),
    [
        *((path, "page=0", {"page"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "offset=x&limit=101", {"offset", "limit"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "page=x&size=y", {"page", "size"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "page=1&offset=1", {"offset"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "limit=1&page_size=1&size=1", {"page_size", "size"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "limit=1&limit=2", {"limit"}) for path in (PUBLIC, OWN, RANKINGS)),
        *(
            (path, f"{name}=2", {name})
            for path in (PUBLIC, OWN, RANKINGS)
            for name in ("per_page", "pageSize", "skip")
        ),
        *((path, f"{name}=2", {name}) for path in (PUBLIC, OWN) for name in ("from", "to")),
        *((path, "skip=2&page%5Bnumber%5D=2", {"skip", "page[number]"}) for path in (PUBLIC, OWN, RANKINGS)),
        *((path, "cursor=x", {"cursor"}) for path in (PUBLIC, OWN, RANKINGS)),
        (PUBLIC, "cursor=x&limit=0", {"cursor", "limit"}),
        (PUBLIC, f"cursor={CURSOR}&page=1", {"page"}),
        (PUBLIC, f"cursor={CURSOR}&offset=1", {"offset"}),
        (PUBLIC, "offset=10001", {"offset"}),
        (PUBLIC, "page=502&limit=20", {"page"}),
        (RANKINGS, "page=50002&limit=20", {"page"}),
        (RANKINGS, "offset=1000001", {"offset"}),
        (RANKINGS, "from=x&to=y", {"from", "to"}),
        (RANKINGS, "from=1&limit=5&offset=2", {"limit", "offset"}),
    ],
)
def test_every_wrong_parameter_is_named(get, path, query, wrong):
    response = get(f"{path}?{query}")

    assert response.status_code == 400
    assert set(response.json["fields"]) == wrong


def test_the_deepest_page_is_still_one(get):
    assert ids(get(f"{PUBLIC}?page=501&limit=20")) == []
    assert ids(get(f"{PUBLIC}?offset=10000")) == []
