"""How often each endpoint asks the database, however many rows there are."""

from contextlib import contextmanager

import pytest
import requests
from sqlalchemy import event

from anb.models import Status
from anb.voting import cast_vote, tally
from tests.people import PASSWORD, registration

FEW_AND_MANY = pytest.mark.parametrize("rows", [1, 12])


@pytest.fixture
def asked(engine):
    """Return what counts the statements that a block sends."""

    @contextmanager
    def counting():
        statements = []

        def note(_connection, _cursor, statement, *_):
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        yield statements
        event.remove(engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def answered(client, asked):
    """Send a request; return how many statements its answer took."""

    def send(method, path, status, **sent):
        with asked() as statements:
            response = client.open(path, method=method, **sent)
        assert response.status_code == status, response.text
        return len(statements)

    return send


@pytest.fixture
def player(make_user):
    return make_user()


@pytest.fixture
def make_world(engine, make_user, make_video, player):
    """Fill the tables: so many videos of the player and as many of others, each with as many votes."""

    def make(rows):
        videos = [make_video(owner=owner, status=Status.PROCESSED) for owner in (player, None) for _ in range(rows)]
        voters = [make_user() for _ in range(rows)]
        for voter in voters:
            for video in videos:
                with engine.begin() as connection:
                    cast_vote(connection, voter_id=voter.id, video_id=video.id)
        return videos

    return make


@FEW_AND_MANY
@pytest.mark.parametrize("path", ["/api/public/videos?limit=100", "/api/public/rankings?limit=100"])
def test_a_public_page_asks_once(answered, make_world, path, rows):
    make_world(rows)

    assert answered("GET", path, 200) == 1


@FEW_AND_MANY
def test_the_page_of_the_ranking_asks_for_its_places_and_for_the_cities(answered, make_world, rows):
    make_world(rows)

    assert answered("GET", "/ranking", 200) == 2


@FEW_AND_MANY
def test_the_gallery_asks_for_its_videos_the_leaders_and_the_cities(answered, make_world, rows):
    make_world(rows)

    assert answered("GET", "/", 200) == 3


@FEW_AND_MANY
def test_the_own_videos_and_each_of_them_are_asked_for_once(answered, signed_in, player, make_world, rows):
    own = make_world(rows)[0]

    assert answered("GET", "/api/videos", 200, headers=signed_in(player)) == 1
    assert answered("GET", f"/api/videos/{own.id}", 200, headers=signed_in(player)) == 1


@FEW_AND_MANY
def test_a_vote_asks_whether_it_may_be_and_how_many_there_were_and_makes_three_rows(
    answered, signed_in, make_user, make_world, rows
):
    video = make_world(rows)[0]

    assert answered("POST", f"/api/public/videos/{video.id}/vote", 200, headers=signed_in(make_user())) == 6


@FEW_AND_MANY
def test_deleting_looks_and_deletes(answered, signed_in, player, make_video, make_world, rows):
    make_world(rows)
    path = f"/api/videos/{make_video(owner=player).id}"

    assert answered("DELETE", path, 200, headers=signed_in(player)) == 2


@FEW_AND_MANY
def test_an_upload_reserves_within_limits_accepts_and_notes_that_it_rang(
    answered, signed_in, player, clips, make_world, rows
):
    make_world(rows)
    file = ("a.mp4", clips["good"].read_bytes())
    form = requests.Request("POST", "http://x", data={"title": "Tiro"}, files={"video_file": file}).prepare()
    headers = {**signed_in(player), "Content-Type": form.headers["Content-Type"]}

    assert answered("POST", "/api/videos/upload", 201, headers=headers, data=form.body) == 5


@FEW_AND_MANY
def test_a_direct_upload_reserves_first_and_accepts_later(
    answered, client, signed_in, player, clips, post, make_world, rows
):
    make_world(rows)
    content = clips["good"].read_bytes()
    sent = {"title": "Mi mejor tiro", "size": len(content)}
    # The player's row, which lets one count at a time, the new row, and the counting
    assert answered("POST", "/api/videos/uploads", 201, headers=signed_in(player), json=sent) == 3
    begun = client.post("/api/videos/uploads", headers=signed_in(player), json=sent).json
    post(begun, content)

    assert answered("POST", f"/api/videos/uploads/{begun['video_id']}/complete", 201, headers=signed_in(player)) == 3


@FEW_AND_MANY
def test_accounts_ask_for_one_of_them(answered, make_user, make_world, rows):
    make_world(rows)
    account = make_user(email="ana@example.com")

    # How many accounts the address has made, the new one, and from where it came
    assert answered("POST", "/api/auth/signup", 201, json=registration()) == 3
    # The hash, the rows of the throttle, the count and that it is taken back; before, rows that are missing are made
    login = {"email": account.email, "password": PASSWORD}
    assert answered("POST", "/api/auth/login", 200, json=login) == 6
    assert answered("POST", "/api/auth/login", 200, json=login) == 4
    assert answered("POST", "/api/auth/login", 401, json={**login, "password": "wrong"}) == 4
    assert answered("POST", "/api/auth/login", 200, json=login) == 4


@pytest.mark.parametrize("path", ["/healthz", "/health", "/api/health", "/openapi.json", "/docs", "/registro"])
def test_what_is_the_same_for_all_asks_nothing(answered, path):
    assert answered("GET", path, 200) == 0


def test_the_readiness_asks_whether_the_database_answers(answered):
    assert answered("GET", "/readyz", 200) == 1


@FEW_AND_MANY
def test_a_tally_asks_as_often_for_many_votes_as_for_one(asked, engine, make_world, rows):
    make_world(rows)

    with asked() as statements, engine.begin() as connection:
        assert tally(connection) == min(2 * rows * rows, 1000)

    assert len(statements) == 7
