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
from sqlalchemy import delete, select, update

from anb.jobs import MAX_RECEIVES, Job
from anb.lifecycle import claim, finish, release
from anb.models import Standing, Status, UncountedVote, Video, now
from anb.storage import incoming_key, new_source, processed_key, source_key, thumbnail_key
from anb.timings import Timings
from anb.voting import Miscount, audit, cast_vote, recount, tally
from ops import janitor
from ops.__main__ import main
from tests.leases import lease


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
        {"time": "2026-01-01T10:00:03+00:00", "service": "web", "event": "request", "request_id": "request-42"},
        {"time": "2026-01-01T10:00:04+00:00", "service": "web", "event": "request", "request_id": "request-43"},
        "not JSON, request-42",
        f"web | {json.dumps({'time': '2026-01-01T10:00:01+00:00', 'event': 'early', 'video_id': video_id})}",
    ]
    worker = [
        {"time": "2026-01-01T10:00:09+00:00", "event": "processed", "video_id": video_id, "attempt": 2},
        {"time": "2026-01-01T10:00:05+00:00", "event": "claimed", "video_id": video_id, "attempt": 2},
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
