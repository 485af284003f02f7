"""Votes resist fraud, and a classroom behind one address notices nothing of it."""

import itertools
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text, update

from anb import abuse_limits, accounts, vote_reviews
from anb.abuse_limits import AbuseLimits
from anb.errors import Conflict, TooManyRequests
from anb.models import ExcludedVote, SignUpOrigin, Status, User, Video, Vote, VoteOrigin
from anb.voting import audit, cast_vote, ranking, tally
from ops.__main__ import main
from tests.people import registration

SCHOOL, HOME = "5c" * 16, "40" * 16


@pytest.fixture
def ops(aws, database_url, engine, monkeypatch, capsys):  # noqa: ARG001 for an emulator and tables that are there
    """Call a command about votes; return its exit code and what it printed."""
    monkeypatch.setenv("ANB_DATABASE_URL", database_url)

    def call(*arguments):
        capsys.readouterr()
        code = main(["votes", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


@pytest.fixture
def suspicious(ops):
    """Return the clusters that the operator is shown."""
    return lambda: json.loads(ops("suspicious", "--json")[1])


@pytest.fixture
def join(engine):
    """Sign somebody up; return the id."""

    def signed_up(email, *, address=HOME, limits=AbuseLimits(), **values):
        checked = accounts.Registration.from_fields(registration(email=email, **values))
        with engine.begin() as connection:
            return accounts.sign_up(
                connection, registration=checked, password_hash="", address=address, limits=limits
            )

    return signed_up


@pytest.fixture
def vote(engine):
    def cast(voter_id, video, *, address=HOME, limits=AbuseLimits()):
        with engine.begin() as connection:
            cast_vote(connection, voter_id=voter_id, video_id=video.id, address=address, limits=limits)

    return cast


@pytest.fixture
def stand(engine):
    """Return the ranking as it stands, without counting anything first."""

    def standing():
        with engine.begin() as connection:
            return [(place.username, place.votes) for place in ranking(connection, limit=100)]

    return standing


@pytest.fixture
def count(engine):
    def counted():
        with engine.begin() as connection:
            while tally(connection):
                pass

    return counted


def grow_up(engine, user_ids, *, seconds=3600):
    """Let accounts be older than they are, and what they have voted with them."""
    with engine.begin() as connection:
        connection.execute(
            update(User)
            .where(User.id.in_(user_ids))
            .values(created_at=func.timestampadd(text("SECOND"), -seconds, User.created_at))
        )


def age_votes(engine):
    """Let a minute pass for all votes."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE votes SET created_at = created_at - INTERVAL 1 MINUTE"))
        connection.execute(text("UPDATE vote_origins SET at = at - INTERVAL 1 MINUTE"))


# ---- one account for each mailbox


def test_a_mailbox_has_one_account_whatever_its_spelling(join):
    join("ana.gil@gmail.com")

    for spelling in ("anagil@gmail.com", "Ana.Gil+2@gmail.com", "anagil@googlemail.com"):
        with pytest.raises(Conflict) as refusal:
            join(spelling)
        assert set(refusal.value.fields) == {"email"}


def test_a_login_takes_any_spelling(client):
    account = registration(email="ana.gil+anb@gmail.com")
    client.post("/api/auth/signup", json=account)

    for spelling in ("ana.gil+anb@gmail.com", "ANAGIL@gmail.com", "a.n.a.g.i.l@googlemail.com"):
        sent = {"email": spelling, "password": account["password1"]}
        assert client.post("/api/auth/login", json=sent).status_code == 200


def test_a_password_cannot_be_guessed_faster_by_other_spellings(client):
    account = registration(email="anagil@gmail.com")
    client.post("/api/auth/signup", json=account)
    spellings = (f"anagil+{number}@gmail.com" for number in itertools.count())

    answers = [
        client.post("/api/auth/login", json={"email": next(spellings), "password": "WrongPass123"}).status_code
        for _ in range(12)
    ]

    assert answers[-1] == 429


# ---- from where sign-ups and votes come


def test_an_address_is_kept_as_a_hash_that_nobody_can_turn_back(client, engine, make_video):
    account = registration()
    client.post("/api/auth/signup", json=account)
    sent = {"email": account["email"], "password": account["password1"]}
    token = client.post("/api/auth/login", json=sent).json["access_token"]
    video = make_video(status=Status.PROCESSED)
    path = f"/api/public/videos/{video.id}/vote"
    assert client.post(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200

    with engine.begin() as connection:
        signed_up = connection.scalar(select(SignUpOrigin.address))
        assert signed_up == connection.scalar(select(VoteOrigin.address))
    assert len(signed_up) == 32
    assert "127.0.0.1" not in signed_up


def test_addresses_are_forgotten_after_90_days_and_not_before(engine, join, make_video, vote):
    video = make_video(status=Status.PROCESSED)
    old, young = join("old@example.com"), join("young@example.com")
    vote(old, video)
    with engine.begin() as connection:
        connection.execute(text("UPDATE vote_origins SET at = at - INTERVAL 90 DAY"))
        aged = text("UPDATE sign_up_origins SET at = at - INTERVAL 90 DAY WHERE user_id = :id")
        connection.execute(aged, {"id": old})
    vote(young, video)

    with engine.begin() as connection:
        assert abuse_limits.purge(connection) == 1
        assert abuse_limits.purge(connection) == 0

    with engine.begin() as connection:
        assert connection.scalars(select(SignUpOrigin.user_id)).all() == [young]
        assert connection.scalars(select(VoteOrigin.user_id)).all() == [young]
        assert connection.scalar(select(func.count()).select_from(Vote)) == 2


# ---- limits


def test_thirty_honest_players_behind_one_address_are_neither_held_nor_limited(
    engine, join, make_video, vote, count, stand, suspicious
):
    entries = [make_video(status=Status.PROCESSED) for _ in range(10)]
    players = [join(f"{name}@example.com", address=SCHOOL) for name in _names(30)]
    grow_up(engine, players, seconds=60)

    for number, player in enumerate(players):
        for turn in range(9):
            vote(player, entries[(number + turn) % 10], address=SCHOOL)

    count()
    assert sum(votes for _, votes in stand()) == 270
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(ExcludedVote)) == 0
    assert suspicious() == []


def _names(number):
    syllables = ["ba", "co", "du", "fe", "gi", "ja", "lo", "mu", "ne", "pi"]
    return ["".join(parts) for parts in itertools.islice(itertools.permutations(syllables, 3), number)]


def test_votes_of_an_address_beyond_its_minute_are_taken_and_held(engine, join, make_video, vote, count, row):
    limits = AbuseLimits(votes_a_minute_per_address=3)
    video = make_video(status=Status.PROCESSED)
    voters = [join(f"{name}@example.com") for name in _names(5)]

    for voter in voters[:4]:
        vote(voter, video, limits=limits)
    vote(voters[4], video, address=SCHOOL, limits=limits)

    count()
    assert row(video).votes == 4
    with engine.begin() as connection:
        assert connection.scalars(select(ExcludedVote.user_id)).all() == [voters[3]]


def test_a_minute_later_an_address_votes_as_before(engine, join, make_video, vote):
    limits = AbuseLimits(votes_a_minute_per_address=1)
    video = make_video(status=Status.PROCESSED)
    vote(join("a@example.com"), video, limits=limits)
    age_votes(engine)

    vote(join("b@example.com"), video, limits=limits)

    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(ExcludedVote)) == 0


def test_votes_of_accounts_beyond_the_hour_of_their_address_are_held_wherever_they_vote(
    engine, join, make_video, vote
):
    limits = AbuseLimits(sign_ups_an_hour_per_address=2)
    video = make_video(status=Status.PROCESSED)
    voters = [join(f"{name}@example.com", limits=limits) for name in _names(3)]
    for number, voter in enumerate(voters):
        vote(voter, video, address=f"{number:032x}")

    with engine.begin() as connection:
        assert connection.scalars(select(ExcludedVote.user_id)).all() == [voters[2]]


def test_the_voter_of_a_held_vote_gets_the_same_answer_as_any(client, engine, make_user, make_video, signed_in):
    video, honest, held = make_video(status=Status.PROCESSED), make_user(), make_user()
    with engine.begin() as connection:
        connection.execute(update(User).where(User.id == held.id).values(votes_are_held=True))
    path = f"/api/public/videos/{video.id}/vote"

    answers = [client.post(path, headers=signed_in(voter)) for voter in (honest, held)]
    again = [client.post(path, headers=signed_in(voter)) for voter in (honest, held)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert [answer.json["error"] for answer in again] == ["already_voted", "already_voted"]
    assert [item["votes"] for item in client.get("/api/public/videos").json] == [1]


def test_an_account_that_votes_faster_than_people_do_is_told_to_wait(
    client, engine, app, make_user, make_video, signed_in
):
    app.extensions["anb"] = replace(app.extensions["anb"], abuse_limits=AbuseLimits(votes_a_minute_per_account=2))
    headers, entries = signed_in(make_user()), [make_video(status=Status.PROCESSED) for _ in range(3)]

    *_, last = [client.post(f"/api/public/videos/{video.id}/vote", headers=headers) for video in entries]

    assert (last.status_code, last.headers["Retry-After"]) == (429, "60")
    age_votes(engine)
    assert client.post(f"/api/public/videos/{entries[2].id}/vote", headers=headers).status_code == 200


def test_racing_votes_of_one_account_do_not_pass_its_limit_together(join, make_video, vote):
    entries = [make_video(status=Status.PROCESSED) for _ in range(16)]
    voter, barrier = join("ana@example.com"), threading.Barrier(16)

    def race(video):
        barrier.wait()
        try:
            vote(voter, video, limits=AbuseLimits(votes_a_minute_per_account=5))
        except TooManyRequests:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(race, entries)) == 5


# ---- what the operator does


@pytest.fixture
def contest(engine, make_user, make_video, join, vote, count):
    """Two players whom 30 and 20 honest people have voted for, from homes of their own."""
    first, second = make_user(first_name="Rosa"), make_user(first_name="Luis")
    found = [make_video(owner=player, status=Status.PROCESSED) for player in (first, second)]
    people = [join(f"{name}@example.com", address=f"{n:032x}") for n, name in enumerate(_names(50))]
    grow_up(engine, people)
    for number, person in enumerate(people):
        vote(person, found[number >= 30], address=f"{number:032x}")
    count()
    return found


def invent(join, vote, video, number=200, *, address=SCHOOL, email="user{}@example.com", limits=AbuseLimits()):
    invented = [join(email.format(n), address=address, limits=limits) for n in range(number)]
    for voter in invented:
        vote(voter, video, address=address, limits=limits)
    return invented


def test_200_invented_accounts_are_found_and_voided_in_one_command(
    engine, ops, contest, join, vote, count, stand, suspicious
):
    before = stand()
    invented = invent(join, vote, contest[1])
    count()
    assert stand() != before

    (cluster,) = [found for found in suspicious() if "one address" in found["reasons"]]
    assert cluster["voter_ids"] == invented
    assert cluster["reasons"] == [
        *("one address", "names in series", "vote within 10 s of sign-up", "this video alone")
    ]
    assert ops("void", cluster["name"], "--note", "una sola red")[0] == 0

    assert stand() == before == [("Rosa Gil", 30), ("Luis Gil", 20)]
    assert audit(engine)[0] == []
    assert ops() == (0, "every counter agrees with its votes\n")
    assert suspicious() == []


def test_a_series_of_names_is_found_behind_many_addresses(contest, join, vote, suspicious):
    for number in range(20):
        address = f"{number + 1000:032x}"
        vote(join(f"fan{number}@example.com", address=address), contest[0], address=address)

    (cluster,) = suspicious()

    assert (cluster["origin"], cluster["counted"]) == ("fan#@example.com", 20)


def test_a_common_name_with_numbers_is_no_reason_by_itself(engine, contest, join, vote, suspicious):
    people = [join(f"maria{number}@example.com", address=f"{number + 1000:032x}") for number in range(20)]
    grow_up(engine, people)
    for number, person in enumerate(people):
        vote(person, contest[0], address=f"{number + 1000:032x}")

    assert suspicious() == []


def test_a_voiding_is_undone_by_its_number(ops, contest, join, vote, count, stand, suspicious):
    invent(join, vote, contest[1], 20)
    count()
    before = stand()
    said = [ops("void", cluster["name"], "--note", "red del colegio")[1] for cluster in suspicious()]

    number = said[0].split("restore ")[1].split()[0]
    assert "red del colegio" in ops("voidings")[1]
    assert ops("restore", number) == (0, "restored 20 votes\n")

    assert stand() == before
    assert ops("restore", number) == (0, "restored 0 votes\n")
    names = [cluster["name"] for cluster in suspicious()]
    voided = json.loads(ops("void", *names, "--note", "otra vez", "--json")[1])
    assert voided == {"voided": 20, "number": int(number) + len(said)}
    assert json.loads(ops("restore", voided["number"], "--json")[1]) == {"restored": 20}
    assert ops("restore", 99)[0] == 1


def test_held_votes_count_when_they_are_released_and_so_do_their_voters_from_then_on(
    engine, ops, contest, join, vote, count, stand, suspicious, make_video
):
    limits = AbuseLimits(sign_ups_an_hour_per_address=15)
    names = [join(f"{name}.b@example.com", address=SCHOOL, limits=limits) for name in _names(20)]
    grow_up(engine, names)
    for voter in names:
        vote(voter, contest[1], address=SCHOOL, limits=limits)
    count()
    assert dict(stand())["Luis Gil"] == 35

    (cluster,) = suspicious()
    assert (cluster["held"], "above the limits" in cluster["reasons"]) == (5, True)
    assert json.loads(ops("release", cluster["name"], "--json")[1]) == {"released": 5}
    assert ops("release", cluster["name"]) == (0, "released 0 votes\n")

    assert dict(stand())["Luis Gil"] == 40
    other = make_video(status=Status.PROCESSED)
    vote(names[19], other, address=HOME, limits=limits)
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(ExcludedVote)) == 0
    assert audit(engine)[0] == []


def test_a_held_vote_that_was_voided_is_held_again_when_that_is_undone(engine, join, vote, make_video):
    video = make_video(status=Status.PROCESSED)
    limits = AbuseLimits(votes_a_minute_per_address=1)
    voters = [join(f"{name}@example.com") for name in _names(2)]
    for voter in voters:
        vote(voter, video, limits=limits)
    both = {"video_id": video.id, "voter_ids": voters}
    with engine.begin() as connection:
        number = vote_reviews.begin_voiding(connection, note="")
        assert vote_reviews.void(connection, **both, voiding_id=number) == 2

    with engine.begin() as connection:
        assert vote_reviews.void(connection, **both, voiding_id=number) == 0
        assert vote_reviews.restore(connection, **both, voiding_id=number) == 2

    with engine.begin() as connection:
        assert [(row.user_id, row.voiding_id) for row in connection.execute(select(ExcludedVote))] == [
            (voters[1], None)
        ]
    assert audit(engine)[0] == []


def test_a_cluster_that_is_not_there_is_named(ops):
    code, said = ops("void", "nowhere1", "--note", "x")

    assert (code, "no cluster nowhere1" in said) == (1, True)


def test_a_note_has_to_say_why(ops):
    assert ops("void", "nowhere1")[0] == 2


def test_decisions_are_exact_while_votes_come_in_and_are_tallied(engine, join, vote, make_video, count):
    """Void and restore the same votes again and again, from two operators, beside new votes, tallies and audits."""
    video = make_video(status=Status.PROCESSED)
    voters = [join(f"{name}@example.com", address=None) for name in _names(80)]
    for voter in voters[:40]:
        vote(voter, video, address=None)
    both = {"video_id": video.id, "voter_ids": voters[:40]}
    over, wrong = threading.Event(), []

    def decide():
        while not over.is_set():
            with engine.begin() as connection:
                number = vote_reviews.begin_voiding(connection, note="")
            with engine.begin() as connection:
                vote_reviews.void(connection, **both, voiding_id=number)
            with engine.begin() as connection:
                vote_reviews.restore(connection, **both, voiding_id=number)

    def watch():
        while not over.is_set():
            wrong.extend(audit(engine)[0])
            count()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(work) for work in (decide, decide, watch)]
        for voter in voters[40:]:
            vote(voter, video, address=None)
        over.set()
        for thread in running:
            thread.result()

    count()
    assert wrong == []
    with engine.begin() as connection:
        assert connection.scalar(select(Video.votes)) == 80
        assert Counter(connection.scalars(select(ExcludedVote.is_held))) == {}
