"""`python -m ops`, as an operator calls it, against the real parts."""

import itertools
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import boto3
import pytest
from sqlalchemy import delete, func, select, update

from anb import accounts
from anb.errors import NotFound, Unauthenticated
from anb.jobs import MAX_RECEIVES, Job
from anb.lifecycle import claim, finish, release, take_down
from anb.models import Base, Erasure, PasswordReset, Standing, Status, UncountedVote, Video, Vote, now
from anb.storage import incoming_key, new_source, processed_key, source_key, thumbnail_key
from anb.throttle import Subjects
from anb.timings import Timings
from anb.voting import Miscount, audit, cast_vote, recount, tally
from ops import janitor
from ops.__main__ import main
from tests.leases import lease
from tests.waiting import until


@pytest.fixture
def timings():
    return Timings()


@pytest.fixture
def ops(timings, aws, database_url, engine, monkeypatch, capsys):  # noqa: ARG001 for an emulator and tables that are there
    """Call a command; return its exit code and what it printed."""
    monkeypatch.setenv("ANB_DATABASE_URL", database_url)

    def call(*arguments):
        capsys.readouterr()
        code = main(list(map(str, arguments)), timings)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def set_row(engine, video, **values):
    with engine.begin() as connection:
        connection.execute(update(Video).where(Video.id == video.id).values(**values))


# ---- janitor


# Everything that is stored counts as old enough, without waiting for it
grown_old = pytest.mark.parametrize("timings", [Timings(min_orphan_age_seconds=-60)], ids=["grown old"])


@pytest.fixture
def put(storage, tmp_path):
    (tmp_path / "content").write_bytes(b"content")

    def stored(key):
        with (tmp_path / "content").open("rb") as file:
            storage.put(key, file, content_type="video/mp4")
        return key

    return stored


@pytest.fixture
def processed(engine, make_video, put):
    """A video that took two attempts, both of which have stored a result."""
    video = make_video()
    with engine.begin() as connection:
        release(
            connection,
            lease(connection, video.id),
            crashed=False,
            delay_seconds=0,
            timings=Timings(),
        )
        finish(connection, lease(connection, video.id))
    put(source_key(video.id, None))
    for attempt in (1, 2):
        put(processed_key(video.id, attempt))
        put(thumbnail_key(video.id, attempt))
    return video


@grown_old
def test_the_janitor_removes_nothing_unless_it_is_told_to(ops, put, keys, make_video):
    orphan, kept = put(source_key(uuid4(), None)), put(source_key(make_video().id, None))

    code, said = ops("janitor")

    assert code == 1
    assert f"would remove  {orphan}  7 B" in said
    assert kept not in said
    assert keys() == {orphan, kept}


@grown_old
def test_of_a_processed_video_source_and_winning_attempt_stay(ops, processed, keys):
    assert ops("janitor", "--delete")[0] == 0

    assert keys() == {source_key(processed.id, None), processed_key(processed.id, 2), thumbnail_key(processed.id, 2)}
    assert ops("janitor")[0] == 0


@grown_old
def test_what_an_attempt_under_way_has_stored_stays(ops, put, keys, engine, make_video):
    video = make_video()
    with engine.begin() as connection:
        claim(connection, video_id=video.id, owner="x", timings=Timings())
    stored = {put(source_key(video.id, None)), put(processed_key(video.id, 1)), put(thumbnail_key(video.id, 1))}

    ops("janitor", "--delete")

    assert keys() == stored


@grown_old
@pytest.mark.parametrize("status", [Status.UPLOADED, Status.FAILED])
def test_the_result_of_an_attempt_that_was_given_back_or_up_goes(ops, put, keys, make_video, status):
    video = make_video(status=status, attempt=1)
    put(processed_key(video.id, 1))

    ops("janitor", "--delete")

    assert keys() == set()


@grown_old
def test_a_result_that_a_restored_row_does_not_know_yet_stays(ops, put, keys, make_video):
    stored = put(processed_key(make_video(attempt=1).id, 2))

    ops("janitor", "--delete")

    assert keys() == {stored}


@grown_old
@pytest.mark.parametrize("key", ["uploads/notes.txt", "uploads/", f"processed/{UUID(int=7)}/x.mp4", "logs/a.log"])
def test_what_this_system_does_not_write_is_left_alone(ops, put, keys, key):
    put(key)

    assert ops("janitor", "--delete")[0] == 0
    assert keys() == {key}


def test_what_is_younger_than_an_hour_is_left_alone(ops, put, keys):
    orphan = put(source_key(uuid4(), None))

    assert ops("janitor", "--delete")[0] == 0
    assert keys() == {orphan}


@grown_old
def test_the_janitor_does_not_empty_the_store_for_the_wrong_database(ops, put, keys):
    stored = {put(source_key(uuid4(), None)) for _ in range(11)}

    code, said = ops("janitor", "--delete")

    assert (code, keys()) == (1, stored)
    assert "is this the right database?" in said
    assert ops("janitor", "--delete", "--force")[0] == 0
    assert keys() == set()


def test_a_reservation_that_nothing_came_for_is_forgotten_after_a_day(ops, row, make_video):
    old = make_video(status=Status.AWAITING_UPLOAD, created_at=now(plus_seconds=-25 * 3600))
    young = make_video(status=Status.AWAITING_UPLOAD, created_at=now(plus_seconds=-23 * 3600))

    assert ops("janitor") == (
        1,
        f"would remove  row {old.id}\nwould remove 0 objects (0 B) and 1 rows\n",
    )
    assert row(old) is not None
    assert ops("janitor", "--delete")[0] == 0
    assert (row(old), row(young) is not None) == (None, True)


@grown_old
def test_a_file_that_waits_for_its_player_stays_with_its_reservation(ops, put, keys, row, make_video):
    video = make_video(status=Status.AWAITING_UPLOAD, created_at=now(plus_seconds=-25 * 3600))
    stored = put(incoming_key(video.id))

    assert ops("janitor", "--delete")[0] == 0
    assert row(video) is not None
    assert keys() == {stored}


@grown_old
@pytest.mark.parametrize("status", [s for s in Status if s != Status.AWAITING_UPLOAD])
def test_what_was_posted_for_a_reservation_that_is_over_goes(ops, put, keys, make_video, status):
    put(incoming_key(make_video(status=status).id))
    put(incoming_key(uuid4()))

    ops("janitor", "--delete")

    assert keys() == set()


@grown_old
@pytest.mark.parametrize("status", [Status.UPLOADED, Status.PROCESSED, Status.FAILED])
def test_of_the_copies_of_a_source_the_accepted_one_stays(ops, put, keys, make_video, status):
    video = make_video(status=status, source=new_source())
    stored = put(source_key(video.id, video.source))
    put(source_key(video.id, new_source()))
    put(source_key(video.id, None))

    ops("janitor", "--delete")

    assert keys() == {stored}


@grown_old
@pytest.mark.parametrize("status", [Status.AWAITING_UPLOAD, Status.REFUSED, Status.DELETED])
def test_a_copy_that_no_row_accepted_goes(ops, put, keys, make_video, status):
    put(source_key(make_video(status=status).id, new_source()))

    ops("janitor", "--delete")

    assert keys() == set()


@pytest.mark.parametrize("status", [Status.REFUSED, Status.DELETED])
def test_a_row_that_is_over_is_forgotten_after_a_day_even_with_a_key(ops, row, make_video, status):
    old = make_video(status=status, created_at=now(plus_seconds=-25 * 3600), idempotency_key="key-1")
    young = make_video(status=status, created_at=now(plus_seconds=-23 * 3600))

    assert ops("janitor", "--delete")[0] == 0
    assert (row(old), row(young) is not None) == (None, True)


def test_a_reservation_that_a_repeated_request_can_find_stays(ops, row, make_video):
    video = make_video(
        status=Status.AWAITING_UPLOAD, created_at=now(plus_seconds=-25 * 3600), idempotency_key="key-1"
    )

    assert ops("janitor", "--delete")[0] == 0
    assert row(video) is not None


@pytest.mark.parametrize("status", [Status.UPLOADED, Status.PROCESSING, Status.PROCESSED, Status.FAILED])
def test_a_video_that_was_accepted_is_never_forgotten(ops, row, make_video, status):
    video = make_video(status=status, created_at=now(plus_seconds=-25 * 3600))

    assert ops("janitor", "--delete")[0] == 0
    assert row(video) is not None


@grown_old
def test_the_janitor_sees_more_than_one_page(ops, put, monkeypatch, make_video):
    monkeypatch.setattr(janitor, "BATCH", 2)
    rows = [make_video(status=Status.AWAITING_UPLOAD, created_at=now(plus_seconds=-25 * 3600)) for _ in range(5)]
    for _ in range(3):
        put(source_key(uuid4(), None))

    code, said = ops("janitor")

    assert code == 1
    assert "would remove 3 objects (21 B) and 5 rows" in said
    assert all(str(video.id) in said for video in rows)


# ---- dead letters


@pytest.fixture
def bury(aws, jobs):
    """Send a body and let it come back too often."""

    def dead(body):
        boto3.client("sqs").send_message(QueueUrl=aws.environment["ANB_QUEUE_URL"], MessageBody=body)
        for _ in range(MAX_RECEIVES):
            jobs.change_visibility(jobs.receive(wait_seconds=1), seconds=0)
        assert jobs.receive(wait_seconds=0) is None
        return body

    return dead


def test_a_dead_letter_is_shown_with_its_body_age_and_receives_and_stays(ops, bury):
    bury("not a job")
    today = f"{datetime.now(UTC):%Y-%m-%d}"

    for _ in range(2):
        code, said = ops("dlq", "show")
        assert code == 1
        assert re.search(rf"{today} [\d:]{{8}}Z  \d+ +no +not a job\n", said)
        assert said.endswith("1 dead letters\n")


def test_without_dead_letters_there_is_nothing_to_do(ops):
    assert ops("dlq", "show") == (0, "message  sent  receives  a job  body\n0 dead letters\n")
    assert ops("dlq", "drop")[0] == 0


def test_redriving_sends_jobs_again_and_leaves_what_no_worker_can_read(ops, bury, jobs):
    job = Job(video_id=uuid4(), request_id="request-1")
    bury(job.to_body())
    bury("not a job")

    code, said = ops("dlq", "redrive")

    assert code == 1
    assert said.endswith("sent 1 to the job queue, left 1\n")
    message = jobs.receive(wait_seconds=1)
    assert message.job == job
    jobs.delete(message)
    assert "1 dead letters" in ops("dlq", "show")[1]


def test_redriving_everything_moves_unreadable_bodies_intact(ops, bury, jobs):
    body = bury('{"video_id": "ñ"}\n')

    assert ops("dlq", "redrive", "--all")[0] == 0

    assert jobs.receive(wait_seconds=1).body == body
    assert ops("dlq", "show")[0] == 0


def test_dropping_takes_a_yes(ops, bury, jobs):
    bury("not a job")

    code, said = ops("dlq", "drop")
    assert code == 1
    assert said.endswith("would drop 1 dead letters; --yes does it\n")
    assert ops("dlq", "drop", "--yes")[0] == 0
    assert ops("dlq", "show")[0] == 0
    assert jobs.receive(wait_seconds=0) is None


def test_a_queue_without_dead_letters_is_said_in_one_line(ops, aws):
    sqs = boto3.client("sqs")
    sqs.set_queue_attributes(QueueUrl=aws.environment["ANB_QUEUE_URL"], Attributes={"RedrivePolicy": ""})

    code, said = ops("dlq", "show")

    assert (code, said.count("\n")) == (1, 1)
    assert "has no dead-letter queue" in said


# ---- votes


@pytest.fixture
def popular(engine, make_user, make_video):
    """Two videos of one player with three votes each, of which four are counted."""
    player, voters = make_user(), [make_user() for _ in range(3)]
    found = [make_video(owner=player, status=Status.PROCESSED) for _ in range(2)]
    for voter in voters:
        for video in found:
            with engine.begin() as connection:
                cast_vote(connection, voter_id=voter.id, video_id=video.id)
        if voter is voters[1]:
            with engine.begin() as connection:
                assert tally(connection) == 4
    return found


@pytest.fixture
def counters(engine):
    """Count what is not counted yet and return the counters of videos and of players."""

    def read():
        with engine.begin() as connection:
            tally(connection)
        with engine.begin() as connection:
            return (
                sorted(connection.scalars(select(Video.votes))),
                sorted(connection.scalars(select(Standing.votes))),
            )

    return read


@pytest.mark.usefixtures("popular")
def test_counters_that_agree_with_the_votes_are_left_alone(ops, counters):
    assert ops("votes") == (0, "every counter agrees with its votes\n")
    assert ops("votes", "--repair")[0] == 0
    assert counters() == ([3, 3], [6])


def test_a_counter_that_is_wrong_is_named_and_repaired(ops, popular, engine, counters):
    first = popular[0]
    set_row(engine, first, votes=7)
    with engine.begin() as connection:
        connection.execute(update(Standing).values(votes=0))

    code, said = ops("votes")
    assert code == 1
    assert f"video {first.id} says 7, votes are 2\n" in said
    assert f"player {first.user_id} in the ranking says 0, votes are 4\n" in said

    code, said = ops("votes", "--repair")
    assert code == 0
    assert "says 7, votes are 2; set to 2\n" in said
    assert counters() == ([3, 3], [6])
    assert ops("votes")[0] == 0


@pytest.mark.usefixtures("popular")
def test_uncounted_votes_that_were_lost_are_counted_by_a_repair(ops, engine, counters):
    with engine.begin() as connection:
        connection.execute(delete(UncountedVote))

    assert ops("votes")[0] == 1
    assert ops("votes", "--repair")[0] == 0
    assert counters() == ([3, 3], [6])


@pytest.mark.usefixtures("popular")
def test_a_player_who_is_missing_in_the_ranking_enters_it(ops, engine, counters):
    with engine.begin() as connection:
        connection.execute(delete(Standing))

    assert "in the ranking is missing, votes are 4\n" in ops("votes")[1]
    assert ops("votes", "--repair")[0] == 0
    assert counters() == ([3, 3], [6])


def test_an_audit_goes_through_all_players_in_batches(engine, make_user):
    ids = [make_user().id for _ in range(5)]

    assert audit(engine, players=3) == ([], ids[2])
    assert audit(engine, after_player=ids[2], players=3) == ([], ids[4])
    assert audit(engine, after_player=ids[4], players=3) == ([], None)


@contextmanager
def repeating(*works):
    """Do each again and again in a thread of its own; raises what one of them has raised."""
    over = threading.Event()

    def repeat(work):
        while not over.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            over.set()
        for thread in running:
            thread.result()


def test_audits_and_repairs_do_no_harm_while_votes_come_in_and_are_tallied(engine, make_user, make_video, counters):
    player, voters = make_user(), [make_user() for _ in range(60)]
    found = [make_video(owner=player, status=Status.PROCESSED).id for _ in range(2)]
    wrong = [Miscount(player_id=player.id, video_id=video_id, counted=0, votes=0) for video_id in (*found, None)]

    def count():
        with engine.begin() as connection:
            tally(connection)

    def look():
        assert audit(engine)[0] == []

    def repair():
        for miscount in wrong:
            with engine.begin() as connection:
                recount(connection, miscount)

    with repeating(count, look, repair):
        for voter, video_id in itertools.product(voters, found):
            with engine.begin() as connection:
                cast_vote(connection, voter_id=voter.id, video_id=video_id)

    assert counters() == ([60, 60], [120])


# ---- status


def test_the_status_tells_what_waits_and_for_how_long(ops, engine, make_video, jobs):
    make_video(uploaded_at=now(plus_seconds=-3700))
    dead = make_video()
    with engine.begin() as connection:
        claim(connection, video_id=dead.id, owner="x", timings=Timings())
    set_row(engine, dead, lease_until=now(plus_seconds=-1), next_enqueue_at=now(plus_seconds=-1))
    jobs.send([Job(video_id=dead.id, request_id="x")])

    code, said = ops("status")
    told = dict(re.split(r" {2,}", line) for line in said.splitlines())

    assert code == 0
    assert (told["videos uploaded"], told["videos processing"], told["videos failed"]) == ("1", "1", "0")
    assert told["oldest job has waited"].startswith("1:01:4")
    assert (told["leases expired"], told["jobs due to be sent again"]) == ("1", "1")
    assert (told["messages waiting"], told["dead letters"]) == ("1", "0")


def test_the_status_points_to_dead_letters(ops, bury):
    bury("not a job")

    code, said = ops("status")

    assert code == 1
    assert said.endswith("Look at the dead letters: python -m ops dlq show\n")


# ---- trace


@pytest.fixture
def lines(tmp_path):
    """Write log files and return their paths."""

    def write(*files):
        for number, entries in enumerate(files):
            told = (entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
            (tmp_path / f"{number}.log").write_text("\n".join(told) + "\n", encoding="utf-8")
        return [tmp_path / f"{number}.log" for number in range(len(files))]

    return write


def test_a_video_is_traced_by_its_id_or_its_requests(ops, processed, engine):
    set_row(engine, processed, request_id="request-42")

    for id_ in (processed.id, "request-42"):
        code, said = ops("trace", id_)
        assert code == 0
        assert re.search(r"^status +processed$", said, re.MULTILINE)
        assert re.search(r"^attempt +2$", said, re.MULTILINE)
        assert re.search(rf"^{re.escape(processed_key(processed.id, 2))} +7 B +\d{{4}}-", said, re.MULTILINE)
        assert re.search(r"^job queue +0 +0 +0$", said, re.MULTILINE)
        assert f'$.video_id = "{processed.id}"' in said
        assert '$.request_id = "request-42"' in said


def test_log_lines_of_web_and_worker_are_shown_as_one_life(ops, processed, engine, lines):
    set_row(engine, processed, request_id="request-42")
    video_id = str(processed.id)
    web = [
        {"time": "2026-01-01T10:00:03+00:00", "service": "nginx", "event": "request", "request_id": "request-42"},
        {"time": "2026-01-01T10:00:04+00:00", "service": "nginx", "event": "request", "request_id": "request-43"},
        "not JSON, request-42",
        f"web | {json.dumps({'time': '2026-01-01T10:00:01+00:00', 'event': 'early', 'video_id': video_id})}",
    ]
    worker = [
        {"time": "2026-01-01 10:00:09.5+00:00", "event": "processed", "video_id": video_id, "attempt": 2},
        {"time": "2026-01-01 10:00:05.5+00:00", "event": "claimed", "video_id": video_id, "attempt": 2},
        {"time": "2026-01-01T10:00:06+00:00", "event": "nothing to do", "error": f"about {video_id}"},
    ]

    code, said = ops("trace", video_id, *lines(web, worker))

    assert code == 0
    life = said.rpartition("\n\n")[2].splitlines()
    assert [re.split(" {2,}", line)[3] for line in life] == ["early", "request", "claimed", "processed"]
    assert life[-1].endswith("attempt=2")


def test_a_deleted_video_is_still_traced_in_the_logs(ops, lines):
    video_id = str(uuid4())
    logs = lines([{"time": "2026-01-01T10:00:00+00:00", "event": "request", "video_id": video_id}])

    code, said = ops("trace", video_id, *logs)

    assert code == 0
    assert f"no row has the id {video_id}" in said


def test_an_id_that_nobody_knows_is_said_so(ops):
    code, said = ops("trace", "request-42")

    assert code == 1
    assert said.endswith("ops: nothing is known of request-42\n")


def test_a_log_file_that_is_not_there_is_said_in_one_line(ops, processed):
    code, said = ops("trace", processed.id, "missing.log")

    assert code == 2
    assert "missing.log" in said.splitlines()[-1]


# ---- a video again, or no more


def test_a_failed_video_is_processed_again_with_all_its_attempts(ops, put, make_video, row):
    video = make_video(status=Status.FAILED, attempt=3, crashes=3, error="dañado")
    put(source_key(video.id, None))

    assert ops("retry", video.id) == (0, f"video {video.id} is due: its job goes to the queue within seconds\n")
    again = row(video)
    assert (again.status, again.attempt, again.crashes, again.error) == (Status.UPLOADED, 3, 0, None)
    assert again.next_enqueue_at <= datetime.now(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("status", [Status.UPLOADED, Status.PROCESSED])
def test_only_a_video_that_failed_is_tried_again(ops, make_video, row, status):
    video = make_video(status=status)

    code, said = ops("retry", video.id)

    assert (code, row(video).status) == (1, status)
    assert said == f"ops: video {video.id} is {status}, and only one that failed can be tried again\n"


def test_a_failed_video_without_its_source_is_not_tried_again(ops, make_video, row, keys):
    video = make_video(status=Status.FAILED)

    assert keys() == set()
    assert "has no source any more" in ops("retry", video.id)[1]
    assert row(video).status == Status.FAILED


def test_what_is_taken_down_is_gone_and_its_votes_count_no_more(ops, popular, engine, row, counters, put, keys):
    first, second = popular
    attempt = row(first).attempt
    stored = put(source_key(first.id, None))
    for key in (processed_key(first.id, attempt), thumbnail_key(first.id, attempt)):
        put(key)

    code, said = ops("takedown", first.id, "usa música ajena")

    assert (code, said) == (0, f"took down video {first.id} with its 3 votes\n")

    assert (row(first).status, row(first).error) == (Status.FAILED, "El video fue retirado: usa música ajena")
    assert keys() == {stored}
    assert counters() == ([0, 3], [3])
    assert ops("votes")[0] == 0
    with engine.begin() as connection, pytest.raises(NotFound):
        cast_vote(connection, voter_id=second.user_id, video_id=first.id)


def test_a_takedown_that_only_looks_changes_nothing(ops, popular, row, counters):
    assert ops("takedown", popular[0].id, "porque sí", "--dry-run")[0] == 0
    assert (row(popular[0]).status, counters()) == (Status.PROCESSED, ([3, 3], [6]))


def test_a_second_takedown_says_that_the_video_is_not_public(ops, popular):
    ops("takedown", popular[0].id, "una vez")

    assert ops("takedown", popular[0].id, "otra vez") == (1, f"ops: video {popular[0].id} is not public\n")


def test_a_takedown_that_was_a_mistake_is_made_good_by_a_retry(ops, popular, put, row, engine):
    put(source_key(popular[0].id, None))
    ops("takedown", popular[0].id, "por error")

    assert ops("retry", popular[0].id)[0] == 0
    with engine.begin() as connection:
        finish(connection, lease(connection, popular[0].id))
    assert (row(popular[0]).status, row(popular[0]).votes) == (Status.PROCESSED, 0)
    assert ops("votes")[0] == 0


def test_votes_that_come_in_while_a_video_is_taken_down_are_refused_or_void(engine, make_user, make_video):
    player, late, *voters = [make_user() for _ in range(42)]
    video = make_video(owner=player, status=Status.PROCESSED)
    outcomes = []

    def vote():
        for voter in voters:
            try:
                with engine.begin() as connection:
                    cast_vote(connection, voter_id=voter.id, video_id=video.id)
                outcomes.append("taken")
            except NotFound:
                outcomes.append("refused")

    with ThreadPoolExecutor(2) as pool:
        voting = pool.submit(vote)
        until(lambda: len(outcomes) > 5)
        with engine.begin() as connection:
            assert take_down(connection, video_id=video.id, reason="x")
        voting.result()

    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(Vote)) == 0
        with pytest.raises(NotFound):
            cast_vote(connection, voter_id=late.id, video_id=video.id)
    assert len(outcomes) == len(voters)
    with engine.begin() as connection:
        tally(connection)
    assert audit(engine)[0] == []


# ---- people


CANARIES = {"first_name": "Canaria", "last_name": "Verdecilla", "city": "Puerto Canario", "country": "Canarilandia"}


@pytest.fixture
def canary(engine, make_user, make_video, put, popular):
    """A person with everything that a person can have: videos in every state, votes from and for others, and more."""
    email = "canaria@example.com"
    person = make_user(email=email, **CANARIES)
    for status in Status:
        video = make_video(owner=person, status=status, title="Canaria a tres", idempotency_key=f"canaria-{status}")
        put(source_key(video.id, None))
        put(incoming_key(video.id))
        if status is Status.PROCESSED:
            put(processed_key(video.id, 1))
            for voter in (popular[0].user_id, person.id):
                with engine.begin() as connection:
                    cast_vote(connection, voter_id=voter, video_id=video.id)
    for video in popular:
        with engine.begin() as connection:
            cast_vote(connection, voter_id=person.id, video_id=video.id)
    with pytest.raises(Unauthenticated):
        accounts.authenticate(engine, email=email, password="not it", client_address="192.0.2.7")
    return person


@pytest.fixture
def everything(engine, keys, storage, tmp_path, caplog):
    """Return all that database, store and logs hold, as text."""

    def read():
        with engine.begin() as connection:
            tables = [connection.execute(select(table)).all() for table in Base.metadata.sorted_tables]
        contents = []
        for number, key in enumerate(sorted(keys())):
            storage.download(key, tmp_path / f"found-{number}")
            contents.append(key + (tmp_path / f"found-{number}").read_bytes().decode("latin-1"))
        return "\n".join([str(tables), *contents, caplog.text])

    return read


def test_of_a_person_who_is_forgotten_the_receipt_alone_is_found(ops, canary, engine, everything, keys, counters):
    with engine.begin() as connection:
        ids = [row.hex for row in connection.scalars(select(Video.id).where(Video.user_id == canary.id))]
        account = Subjects.of(email=canary.email, client_address="").account
    canaries = [*CANARIES.values(), "anaria a tres", "canaria", canary.email, canary.email.upper(), account, *ids]
    assert all(canary in everything() for canary in CANARIES.values())

    code, said = ops("forget", canary.email)

    assert (code, said) == (0, f"erased account {canary.id} with {len(Status)} videos and 2 votes for others\n")
    assert [canary for canary in canaries if canary.lower() in everything().lower()] == []
    assert keys() == set()
    with engine.begin() as connection:
        receipt = connection.execute(select(Erasure)).one()
        tables = [table for table in Base.metadata.sorted_tables if "user_id" in table.columns]
        left = [table.name for table in tables if canary.id in connection.scalars(select(table.c.user_id))]
    assert (receipt.erased_user_id, receipt.videos, receipt.votes) == (canary.id, len(Status), 2)
    assert left == []
    assert counters() == ([3, 3], [6])
    assert ops("votes")[0] == 0


def test_a_look_at_what_would_be_forgotten_changes_nothing(ops, canary, everything):
    before = everything()

    assert ops("forget", canary.id, "--dry-run") == (
        0,
        f"would erase account {canary.id} with {len(Status)} videos and 2 votes for others\n",
    )
    assert everything() == before


def test_a_person_can_be_named_by_the_hash_of_the_address_alone(ops, canary):
    assert ops("forget", f"sha256:{accounts.hashed(canary.email)}", "--dry-run")[0] == 0


def test_who_has_no_account_is_not_named_by_the_refusal(ops):
    assert ops("forget", "nadie@example.com") == (1, "ops: there is no such account\n")


def test_forgetting_goes_on_where_it_was_interrupted(ops, canary, engine, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("ops.forget.erasure.finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ops("forget", canary.id)

    assert ops("forget", canary.id)[0] == 0
    with engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(Erasure)) == 1


def test_a_link_for_a_new_password_works_once_and_for_half_an_hour(ops, engine, make_user):
    person = make_user(email="olvido@example.com")
    code, said = ops("reset-password", "Olvido@example.com")
    token = said.splitlines()[0].partition("#")[2]

    assert (code, said.splitlines()[1]) == (0, "It works once, within 30 minutes.")
    with engine.begin() as connection:
        kept = connection.execute(select(PasswordReset)).one()
        accounts.set_new_password(connection, token=token, password_hash=accounts.hash_password("OtraClave123"))
    left_seconds = (kept.expires_at - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
    assert (token in str(kept), 1700 < left_seconds <= 1800) == (False, True)
    assert accounts.authenticate(engine, email=person.email, password="OtraClave123", client_address="192.0.2.8")
    with engine.begin() as connection, pytest.raises(NotFound):
        accounts.set_new_password(connection, token=token, password_hash="x")


def test_whoever_has_the_link_chooses_a_new_password_and_signs_in_with_it(ops, client, make_user):
    person = make_user()
    token = ops("reset-password", person.id)[1].splitlines()[0].partition("#")[2]
    chosen = {"token": token, "password1": "OtraClave123", "password2": "OtraClave123"}

    assert client.post("/api/auth/password-reset", json={**chosen, "password2": "otra"}).status_code == 400
    answer = client.post("/api/auth/password-reset", json=chosen)

    assert (answer.status_code, answer.json) == (200, {"message": "Contraseña actualizada exitosamente."})
    entered = {"email": person.email, "password": "OtraClave123"}
    assert client.post("/api/auth/login", json=entered).status_code == 200
    again = client.post("/api/auth/password-reset", json=chosen)
    assert (again.status_code, again.json["message"]) == (404, "El enlace no es válido o ya venció. Pide uno nuevo.")


@pytest.mark.parametrize(("token", "status"), [(None, 400), ("", 400), (7, 400), (["x"], 400), ("nobody's", 404)])
def test_a_token_that_nobody_gave_out_is_refused(client, token, status):
    chosen = {"token": token, "password1": "OtraClave123", "password2": "OtraClave123"}

    assert client.post("/api/auth/password-reset", json=chosen).status_code == status


def test_a_link_that_is_too_old_changes_nothing(ops, engine, make_user):
    person = make_user()
    token = ops("reset-password", person.id)[1].splitlines()[0].partition("#")[2]
    with engine.begin() as connection:
        connection.execute(update(PasswordReset).values(expires_at=now(plus_seconds=-1)))

    with engine.begin() as connection, pytest.raises(NotFound, match="ya venció"):
        accounts.set_new_password(connection, token=token, password_hash="x")


def test_a_second_link_makes_the_first_worthless(ops, engine, make_user):
    person = make_user()
    first, second = (ops("reset-password", person.id)[1].splitlines()[0].partition("#")[2] for _ in range(2))

    with engine.begin() as connection, pytest.raises(NotFound):
        accounts.set_new_password(connection, token=first, password_hash="x")
    with engine.begin() as connection:
        accounts.set_new_password(connection, token=second, password_hash="x")


# ---- trouble


def test_a_database_that_is_away_is_said_in_one_line(ops, monkeypatch):
    monkeypatch.setenv("ANB_DATABASE_URL", "mysql+pymysql://anb:secret-word@127.0.0.1:9/anb")

    code, said = ops("status")

    assert code == 3
    assert said.startswith("ops: ")
    assert (said.count("\n"), "secret-word" in said) == (1, False)


def test_a_queue_that_is_away_is_said_in_one_line(ops, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    code, said = ops("dlq", "show")

    assert (code, said.count("\n")) == (3, 1)


# ---- for other programs


def test_every_report_can_be_had_as_json(ops, processed, bury):
    bury("not a job")

    status, letters, wrong, orphans, life = (
        json.loads(ops(*command, "--json")[1])
        for command in (["status"], ["dlq", "show"], ["votes"], ["janitor"], ["trace", processed.id])
    )

    assert (status["videos"]["processed"], status["dead_letters"]) == (1, 1)
    assert [(letter["body"], letter["is_job"]) for letter in letters] == [("not a job", False)]
    assert (wrong, orphans) == ([], {"removed": False, "objects": [], "rows": []})
    assert [(video["id"], video["attempt"]) for video in life["videos"]] == [(str(processed.id), 2)]
    assert processed_key(processed.id, 2) in [stored["key"] for stored in life["objects"]]


def test_dead_letters_that_are_sent_or_dropped_are_reported_as_json(ops, bury):
    job = Job(video_id=uuid4(), request_id="request-1").to_body()
    bury(job)
    bury("not a job")

    (_, sent), (_, seen), (_, dropped) = (
        ops("dlq", *command, "--json") for command in (["redrive"], ["drop"], ["drop", "--yes"])
    )

    redriven = report(sent)
    assert ([it["body"] for it in redriven["sent"]], [it["body"] for it in redriven["left"]]) == (
        [job],
        ["not a job"],
    )
    assert (report(seen)["dropped"], report(dropped)["dropped"]) == (False, True)
    assert [it["body"] for it in report(dropped)["messages"]] == ["not a job"]
    assert "sent  " in sent  # on stderr, while it was done


def report(said):
    """What was printed, before what was said on stderr."""
    return json.JSONDecoder().raw_decode(said)[0]
