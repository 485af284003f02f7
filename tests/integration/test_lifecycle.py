from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import event, select, update

from anb import lifecycle
from anb.errors import NotFound, Refusal
from anb.lifecycle import MAX_CRASHES, POISON, Held, Lease
from anb.models import Standing, Status, Video, now
from anb.timings import Timings


@pytest.fixture
def claim(engine):
    def take(video, owner="worker"):
        with engine.begin() as connection:
            return lifecycle.claim(connection, video_id=video.id, owner=owner, timings=Timings())

    return take


@pytest.fixture
def write(engine):
    """Call a function of the module in a transaction of its own."""

    def run(function, *arguments, **options):
        with engine.begin() as connection:
            return function(connection, *arguments, **options)

    return run


@pytest.fixture
def expire(engine):
    def end(video):
        with engine.begin() as connection:
            connection.execute(update(Video).where(Video.id == video.id).values(lease_until=now(plus_seconds=-1)))

    return end


def test_a_claimed_video_is_one_workers(make_video, claim):
    video = make_video()

    assert claim(video) == Lease(video_id=video.id, attempt=1)
    held = claim(video)
    assert isinstance(held, Held)
    assert 110 <= held.seconds <= 120


def test_the_later_of_two_deletions_finds_no_video(engine, make_video, write):
    video = make_video()
    own = {"owner_id": video.user_id, "video_id": video.id}

    def delete_first(_connection, _cursor, statement, *_):
        if statement.startswith("UPDATE"):
            write(lifecycle.delete_own, **own)

    with engine.begin() as later:
        event.listen(later, "before_cursor_execute", delete_first)
        with pytest.raises(NotFound):
            lifecycle.delete_own(later, **own)


def test_of_many_racing_workers_one_gets_the_video(make_video, claim):
    video = make_video()

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: claim(video), range(8)))

    assert [c for c in claims if isinstance(c, Lease)] == [Lease(video_id=video.id, attempt=1)]


def test_an_expired_lease_is_taken_over_with_the_next_attempt(make_video, claim, expire):
    video = make_video()
    claim(video)
    expire(video)

    assert claim(video) == Lease(video_id=video.id, attempt=2)


@pytest.mark.parametrize("status", [Status.PROCESSED, Status.FAILED, Status.AWAITING_UPLOAD])
def test_there_is_nothing_to_do_for_a_video_that_is_done(make_video, claim, status):
    assert claim(make_video(status=status)) is None


def test_there_is_nothing_to_do_for_a_deleted_video(claim):
    assert claim(Video(id=uuid4())) is None


def test_finishing_opens_the_video_to_votes(make_video, claim, write, row):
    video = make_video()

    assert write(lifecycle.finish, claim(video))
    assert row(video).status == Status.PROCESSED
    assert row(video).processed_at is not None


def test_a_player_enters_the_standings_once(make_user, make_video, claim, write, engine):
    player = make_user()
    for _ in range(2):
        write(lifecycle.finish, claim(make_video(owner=player)))

    with engine.begin() as connection:
        assert list(connection.scalars(select(Standing.user_id))) == [player.id]


def test_finishing_again_after_a_lost_answer_is_a_success(make_video, claim, write):
    lease = claim(make_video())

    assert write(lifecycle.finish, lease)
    assert write(lifecycle.finish, lease)


@pytest.mark.parametrize(
    "late_write",
    [
        (lifecycle.extend_lease, {"timings": Timings()}),
        (lifecycle.finish, {}),
        (lifecycle.give_up, {"reason": "x"}),
        (lifecycle.release, {"crashed": False, "delay_seconds": 0, "timings": Timings()}),
    ],
)
def test_a_worker_that_lost_its_lease_changes_nothing(make_video, claim, expire, write, row, late_write):
    function, options = late_write
    video = make_video()
    late = claim(video)
    expire(video)
    claim(video)
    before = row(video)

    assert not write(function, late, **options)
    assert (row(video).status, row(video).attempt, row(video).crashes) == (before.status, 2, before.crashes)


def test_extending_keeps_the_video(make_video, claim, expire, write):
    video = make_video()
    lease = claim(video)
    expire(video)

    assert write(lifecycle.extend_lease, lease, timings=Timings())
    assert isinstance(claim(video), Held)


def test_giving_up_tells_the_player_why(make_video, claim, write, row):
    video = make_video()

    assert write(lifecycle.give_up, claim(video), reason="Está dañado.")
    assert (row(video).status, row(video).error) == (Status.FAILED, "Está dañado.")


def test_a_release_in_good_order_is_no_crash(make_video, claim, write, row):
    video = make_video()
    write(lifecycle.release, claim(video), crashed=False, delay_seconds=0, timings=Timings())

    assert (row(video).status, row(video).crashes, row(video).attempt) == (Status.UPLOADED, 0, 1)


def test_the_third_crash_is_the_last(make_video, claim, write, row):
    video = make_video()
    for _ in range(MAX_CRASHES):
        write(lifecycle.release, claim(video), crashed=True, delay_seconds=0, timings=Timings())

    assert claim(video) is None
    assert (row(video).status, row(video).error) == (Status.FAILED, POISON)


def test_a_worker_that_dies_three_times_over_a_video_fails_it(make_video, claim, expire, row):
    video = make_video()
    for _ in range(MAX_CRASHES):
        assert isinstance(claim(video), Lease)
        expire(video)

    assert claim(video) is None
    assert row(video).status == Status.FAILED


def own(row):
    return {"video_id": row.id, "owner_id": row.user_id}


def lease_of(row):
    return Lease(video_id=row.id, attempt=row.attempt)


NOT_PUBLIC = set(Status) - {Status.PROCESSED, Status.DELETED}


@pytest.mark.parametrize(
    ("transition", "begins", "end"),
    [
        (
            lambda c, row: lifecycle.mark_uploaded(
                c, video_id=row.id, source="0" * 32, size_bytes=1, timings=Timings()
            ),
            {Status.AWAITING_UPLOAD},
            Status.UPLOADED,
        ),
        (
            lambda c, row: lifecycle.refuse(c, video_id=row.id, reason="x"),
            {Status.AWAITING_UPLOAD},
            Status.REFUSED,
        ),
        (
            lambda c, row: lifecycle.claim(c, video_id=row.id, owner="worker", timings=Timings()),
            {Status.UPLOADED},
            Status.PROCESSING,
        ),
        (lambda c, row: lifecycle.finish(c, lease_of(row)), {Status.PROCESSING}, Status.PROCESSED),
        (lambda c, row: lifecycle.give_up(c, lease_of(row), reason="x"), {Status.PROCESSING}, Status.FAILED),
        (
            lambda c, row: lifecycle.release(c, lease_of(row), crashed=True, delay_seconds=0, timings=Timings()),
            {Status.PROCESSING},
            Status.UPLOADED,
        ),
        (lambda c, row: lifecycle.delete_own(c, **own(row)), NOT_PUBLIC, Status.DELETED),
    ],
    ids=["mark_uploaded", "refuse", "claim", "finish", "give_up", "release", "delete_own"],
)
def test_a_transition_begins_in_its_own_states_and_changes_no_other(make_video, write, row, transition, begins, end):
    found = {}
    for status in Status:
        video = make_video(status=status, lease_until=now(plus_seconds=60))
        with suppress(Refusal):
            write(transition, row(video))
        found[status] = row(video).status

    assert found == {status: end if status in begins else status for status in Status}
