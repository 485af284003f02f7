"""Finding and sorting public videos."""

import html
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from anb import search
from anb.models import Status, Video, VideoWord
from anb.voting import Miscount, cast_vote, recount, tally

PUBLIC = "/api/public/videos"


@pytest.fixture
def entries(engine, make_user, make_video):
    """Make videos of players in two cities; return their titles by number, oldest first."""
    made = [
        ("Ana", "Peña", "Bogotá", "Triple desde la esquina", 5),
        ("Luis", "Triana", "Cali", "Clavada en contragolpe", 9),
        ("Rosa", "Gil", "BOGOTA", "Clavada y triple", 1),
        ("Ana", "Ruiz", "Cali", "Bandeja zurda", 9),
    ]
    for first, last, city, title, votes in made:
        owner = make_user(first_name=first, last_name=last, city=city)
        video = make_video(owner=owner, status=Status.PROCESSED, title=title)
        with engine.begin() as connection:
            connection.execute(update(Video).where(Video.id == video.id).values(votes=votes))
            search.note_votes(connection, video_ids=[video.id])
    return [title for *_, title, _ in made]


@pytest.fixture
def titles(client):
    def found(query):
        answer = client.get(f"{PUBLIC}?{query}")
        assert answer.status_code == 200, answer.text
        return [item["title"] for item in answer.json]

    return found


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", [3, 2, 1, 0]),
        ("sort=newest", [3, 2, 1, 0]),
        ("q=", [3, 2, 1, 0]),
        ("q=triple", [2, 0]),
        ("q=TRÍPLE", [2, 0]),
        ("q=ana", [3, 0]),
        ("q=pena", [0]),
        ("q=clavada triple", [2]),
        ("q=trip", []),
        ("q=nada", []),
        ("city=bogota", [2, 0]),
        ("city=Bogotá&q=clavada", [2]),
        ("city=Leticia", []),
        ("q=ana&sort=votes", [3, 0]),
        ("q=clavada&sort=votes", [1, 2]),
        ("city=cali&q=ana&sort=votes", [3]),
        ("city=bogota&q=clavada&sort=votes", [2]),
    ],
)
def test_the_list_is_found_by_word_and_city_in_either_order(entries, titles, query, wanted):
    assert titles(query) == [entries[number] for number in wanted]


def test_the_most_voted_come_first(entries, titles):
    assert titles("sort=votes")[2:] == [entries[0], entries[2]]
    assert set(titles("sort=votes")[:2]) == {entries[1], entries[3]}
    assert titles("sort=votes&city=bogota") == [entries[0], entries[2]]


def test_a_video_rises_among_those_of_its_word_when_its_votes_are_counted(engine, entries, titles, make_user):
    with engine.begin() as connection:
        slowest = connection.execute(select(Video).where(Video.title == entries[2])).one()
        connection.execute(update(Video).where(Video.id == slowest.id).values(votes=8))
        cast_vote(connection, voter_id=make_user().id, video_id=slowest.id)
        cast_vote(connection, voter_id=make_user().id, video_id=slowest.id)
        tally(connection)
    assert titles("q=clavada&sort=votes") == [entries[2], entries[1]]

    with engine.begin() as connection:
        recount(connection, Miscount(player_id=slowest.user_id, video_id=slowest.id, counted=10, votes=2))
    assert titles("q=clavada&sort=votes&limit=9") == [entries[1], entries[2]]


@pytest.mark.parametrize("query", ["", "sort=votes", "sort=votes&city=cali", "q=ana", "q=clavada&sort=votes"])
def test_links_lead_through_all_that_is_found(client, entries, titles, query):  # noqa: ARG001 what is found
    path, found = f"{PUBLIC}?limit=1&{query}", []
    while path:
        answer = client.get(path)
        found += [item["title"] for item in answer.json]
        path = (re.findall(r"<([^>]+)>", answer.headers.get("Link", "")) or [None])[0]

    assert found == titles(query)


def test_a_cursor_of_another_order_is_refused(client, entries):  # noqa: ARG001 a list that goes on
    link = client.get(f"{PUBLIC}?limit=1&sort=votes").headers["Link"]
    cursor = re.findall(r"cursor=([^&>]+)", link)[0]

    answer = client.get(f"{PUBLIC}?limit=1&cursor={cursor}")

    assert (answer.status_code, set(answer.json["fields"])) == (400, {"cursor"})


def test_an_order_that_is_none_is_refused_with_all_else_that_is_wrong(client):
    answer = client.get(f"{PUBLIC}?sort=best&limit=0")

    assert (answer.status_code, set(answer.json["fields"])) == (400, {"sort", "limit"})


def test_with_a_token_each_video_says_whether_its_reader_has_voted(client, entries, make_user, signed_in):
    headers = signed_in(make_user())
    newest = client.get(PUBLIC).json[0]["video_id"]
    client.post(f"{PUBLIC}/{newest}/vote", headers=headers)

    mine = client.get(PUBLIC, headers=headers)

    assert [item["voted"] for item in mine.json] == [True, *[False] * (len(entries) - 1)]
    assert mine.headers["Cache-Control"] == "no-store"
    for others in ({}, {"Authorization": "Bearer of-yesterday"}):
        assert all("voted" not in item for item in client.get(PUBLIC, headers=others).json)


def test_the_gallery_finds_and_sorts_as_the_list_does(client, entries):
    page = client.get("/?buscar=clavada&orden=votes", headers={"Accept": "text/html"})

    found = re.findall(r'class="title"[^>]*><bdi>([^<]+)', page.text)
    assert found == [entries[1], entries[2]]
    assert 'value="clavada"' in page.text
    assert "No encontramos" in client.get("/?buscar=nada", headers={"Accept": "text/html"}).text


def test_videos_from_before_there_was_a_search_are_found_after_a_while(engine, make_user, make_video, titles):
    owner = make_user(first_name="Ana", last_name="Peña", city="Cali")
    video = make_video(owner=owner, status=Status.PROCESSED, title="Triple")
    with engine.begin() as connection:
        connection.execute(delete(VideoWord))
        connection.execute(update(Video).values(city=None))
    assert titles("q=triple&limit=5") == []  # asked otherwise than below: answers are kept for a second

    with engine.begin() as connection:
        assert search.enter_missed(connection) == 1
        assert search.enter_missed(connection) == 0

    assert titles("q=triple") == titles("city=cali") == [video.title]


@pytest.mark.parametrize("words", [("comun", "raro"), ("raro", "comun")])
def test_a_page_for_several_words_is_read_from_the_index_of_the_rarest(engine, make_video, words):
    videos = [make_video(status=Status.PROCESSED, title=f"Común {number}") for number in range(30)]
    with engine.begin() as connection:
        connection.execute(
            insert(VideoWord).values(word="raro", video_id=videos[7].id, processed_at=datetime.now(UTC), votes=0)
        )
        chosen = search.choose(connection, search.Wanted(words=words), after=None)

    assert chosen.asked == {"word_0": "raro", "word_1": "comun"}


FREQUENT = search.MAX_EXAMINED + 300


@pytest.fixture
def hardly_met(engine, make_user):
    """Make many blue videos in Bogotá and red ones in Cali; return the titles of the oldest two, which are both."""
    owners = {"Bogotá": make_user(city="Bogotá"), "Cali": make_user(city="Cali")}
    begun = datetime(2026, 1, 1)  # noqa: DTZ001 as the database has it
    videos, words = [], []
    for number in range(2 * FREQUENT):
        is_both, id_ = number < 2, uuid4()
        city, colours = ("Bogotá", ["azul"]) if number % 2 and not is_both else ("Cali", ["rojo"])
        at = begun + timedelta(seconds=number)
        videos.append(
            {
                "id": id_,
                "user_id": owners[city].id,
                "title": f"Video {number}",
                "city": city,
                "status": Status.PROCESSED,
                "request_id": "many",
                "attempt": 1,
                "votes": number,
                "uploaded_at": at,
                "processed_at": at,
            }
        )
        colours = ["azul", "rojo"] if is_both else colours
        words += [{"word": word, "video_id": id_, "processed_at": at, "votes": number} for word in colours]
    with engine.begin() as connection:
        connection.execute(insert(Video), videos)
        connection.execute(insert(VideoWord), words)
    return ["Video 1", "Video 0"]


@pytest.mark.parametrize(
    "query", ["q=azul rojo", "q=azul&city=cali", "q=azul rojo&sort=votes", "q=azul&city=cali&page=1"]
)
def test_what_hardly_ever_meets_is_found_behind_pages_that_end_early(client, hardly_met, query):
    answer = client.get(f"{PUBLIC}?{query}")
    pages = [answer]
    while link := re.findall(r"<([^>]+)>", answer.headers.get("Link", "")):
        pages.append(answer := client.get(link[0]))

    assert [[item["title"] for item in page.json] for page in pages] == [[], hardly_met]


def test_a_visitor_can_search_on_where_the_first_page_found_none(client, hardly_met):
    first = client.get("/?buscar=azul+rojo", headers={"Accept": "text/html"}).text
    following = html.unescape(re.findall(r'href="([^"]+)" id="more">Seguir buscando<', first)[0])

    assert "No encontramos" not in first
    assert re.findall(r'class="title"[^>]*><bdi>([^<]+)', client.get(following).text) == hardly_met
