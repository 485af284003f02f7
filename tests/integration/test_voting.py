import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from anb.errors import AlreadyVoted, NotFound, Unauthenticated
from anb.models import Status, UncountedVote, Video, Vote
from anb.videos import find_own, public_page
from anb.voting import cast_vote, cities, ranking, tally


@pytest.fixture
def vote(engine):
    def cast(voter, video):
        with engine.begin() as connection:
            cast_vote(connection, voter_id=voter.id, video_id=video.id)

    return cast


@pytest.fixture
def count(engine):
    """Tally everything and return the ranking."""

    def counted(**filters):
        with engine.begin() as connection:
            while tally(connection):
                pass
        with engine.begin() as connection:
            return [
                (p.position, p.username, p.city, p.votes) for p in ranking(connection, **{"limit": 100, **filters})
            ]

    return counted


def test_a_voter_votes_once_per_video(make_user, make_video, vote):
    voter, video = make_user(), make_video(status=Status.PROCESSED)
    vote(voter, video)

    with pytest.raises(AlreadyVoted):
        vote(voter, video)


def test_a_voter_votes_for_many_videos(make_user, make_video, vote):
    voter = make_user()

    for video in (make_video(status=Status.PROCESSED), make_video(status=Status.PROCESSED)):
        vote(voter, video)


@pytest.mark.parametrize("status", [s for s in Status if s != Status.PROCESSED])
def test_a_video_that_is_not_public_takes_no_votes(make_user, make_video, vote, status):
    with pytest.raises(NotFound):
        vote(make_user(), make_video(status=status))


def test_an_unknown_video_takes_no_votes(make_user, vote):
    with pytest.raises(NotFound):
        vote(make_user(), Video(id=uuid4()))


def test_a_voter_who_does_not_exist_is_nobody(make_user, make_video, vote):
    stranger = SimpleNamespace(id=make_user().id + 1000)

    with pytest.raises(Unauthenticated):
        vote(stranger, make_video(status=Status.PROCESSED))


def test_what_else_keeps_a_vote_from_being_written_is_not_taken_for_the_voter(engine, make_user, make_video, vote):
    voter, video = make_user(), make_video(status=Status.PROCESSED)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE votes ADD CONSTRAINT nobody CHECK (user_id < 0)"))
    try:
        with pytest.raises(DBAPIError, match="nobody"):
            vote(voter, video)
    finally:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE votes DROP CONSTRAINT nobody"))


def test_racing_votes_of_one_player_count_once(engine, make_user, make_video, vote, count):
    voter, video = make_user(), make_video(status=Status.PROCESSED)
    barrier = threading.Barrier(16)

    def race(_):
        barrier.wait()
        try:
            vote(voter, video)
        except AlreadyVoted:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(race, range(16))) == 1

    assert [place[3] for place in count()] == [1]
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(Vote)) == 1


def test_a_vote_shows_at_once_and_is_counted_once(engine, make_user, make_video, row, vote, count):
    video = make_video(status=Status.PROCESSED)
    vote(make_user(), video)

    with engine.begin() as connection:
        assert find_own(connection, owner_id=video.user_id, video_id=video.id).votes == 1
        assert [listed.votes for listed in public_page(connection, limit=10, after=None)[0]] == [1]
    count()
    with engine.begin() as connection:
        assert find_own(connection, owner_id=video.user_id, video_id=video.id).votes == 1
        assert [listed.votes for listed in public_page(connection, limit=10, after=None)[0]] == [1]
    assert row(video).votes == 1


def test_tallies_that_run_together_count_every_vote_once(engine, make_user, make_video, vote):
    videos = [make_video(status=Status.PROCESSED) for _ in range(3)]
    voters = [make_user() for _ in range(20)]
    for voter in voters:
        for video in videos:
            vote(voter, video)

    def work(_):
        with engine.begin() as connection:
            return tally(connection)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(16))) == 60

    with engine.begin() as connection:
        assert set(connection.scalars(select(Video.votes))) == {20}
        assert connection.scalar(select(func.count()).select_from(UncountedVote)) == 0


def test_the_ranking_ranks_players_by_the_votes_of_all_their_videos(make_user, make_video, vote, count):
    star, other = make_user(first_name="Star"), make_user(first_name="Other")
    voters = [make_user(), make_user()]
    for video in (make_video(owner=star, status=Status.PROCESSED), make_video(owner=star, status=Status.PROCESSED)):
        for voter in voters:
            vote(voter, video)
    vote(voters[0], make_video(owner=other, status=Status.PROCESSED))

    assert count() == [(1, "Star Gil", "Bogotá", 4), (2, "Other Gil", "Bogotá", 1)]


def test_among_equals_the_earlier_sign_up_comes_first(make_user, make_video, count):
    early, late = make_user(first_name="Early"), make_user(first_name="Late")
    make_video(owner=late, status=Status.PROCESSED)
    make_video(owner=early, status=Status.PROCESSED)

    assert [(place[0], place[1]) for place in count()] == [(1, "Early Gil"), (2, "Late Gil")]


def test_only_players_with_a_public_video_are_ranked(make_user, make_video, count):
    make_user()
    make_video()

    assert count() == []


def test_each_city_of_the_ranking_is_named_once_however_players_write_it(make_user, make_video, engine):
    for city in ("Cali", "bogota", "Bogotá", "Ábrego", "CALI"):
        make_video(owner=make_user(city=city), status=Status.PROCESSED)
    make_user(city="Leticia")  # without a video

    with engine.begin() as connection:
        found = cities(connection, limit=10)
        first = cities(connection, limit=1)

    assert [without_accents(name).lower() for name in found] == ["abrego", "bogota", "cali"]
    assert first == found[:1]


def without_accents(text):
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


@pytest.mark.parametrize("city", ["Bogotá", "bogota", "BOGOTÁ", "bógota"])
def test_cities_compare_without_case_and_accents(make_user, make_video, count, city):
    make_video(owner=make_user(city="Medellín"), status=Status.PROCESSED)
    make_video(owner=make_user(city="Bogotá"), status=Status.PROCESSED)

    assert [(place[0], place[2]) for place in count(city=city)] == [(1, "Bogotá")]


def test_places_count_on_across_pages(make_user, make_video, count):
    for name in "ABC":
        make_video(owner=make_user(first_name=name), status=Status.PROCESSED)

    assert [(place[0], place[1]) for place in count(limit=2, offset=1)] == [(2, "B Gil"), (3, "C Gil")]
