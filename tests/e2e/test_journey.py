"""The whole journey, and what happens to it when parts go away."""

import json
import re
import signal
import struct
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
import requests

from anb.mp4 import read_clip
from tests.waiting import until

MEBIBYTE = 1024 * 1024


def objects(system):
    s3 = boto3.session.Session("test", "test", region_name="us-east-1").client(
        "s3", endpoint_url=system.emulator.endpoint
    )
    listed = s3.list_objects_v2(Bucket=system.environment["ANB_MEDIA_BUCKET"])
    s3.close()
    return {item["Key"] for item in listed.get("Contents", [])}


def working_on(system, video_id):
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT status FROM anb.videos WHERE id = %s", (video_id.replace("-", ""),))
        return cursor.fetchone() == ("processing",) and encoders()


def encoders():
    """Return the processes that encode a body."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is undumpable
            if b"body.mp4" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_a_video_goes_from_sign_up_to_the_ranking(system, make_player, clips, tmp_path):
    player, voter = make_player(first_name="Super", last_name="Player", city="Cali"), make_player()

    uploaded = player.upload(clips["good"], title="Triple")
    assert uploaded.status_code == 201
    video_id = uploaded.json()["video_id"]
    video = player.wait_for(video_id)

    assert video["status"] == "processed"
    (tmp_path / "processed.mp4").write_bytes(requests.get(video["processed_url"], timeout=30).content)
    with (tmp_path / "processed.mp4").open("rb") as file:
        clip = read_clip(file, size_bytes=(tmp_path / "processed.mp4").stat().st_size)
    assert (clip.width, clip.height, clip.tracks, clip.index_first) == (1280, 720, 1, True)
    assert clip.duration_seconds == pytest.approx(26)
    shown = [
        v for v in requests.get(f"{system.url}/api/public/videos", timeout=30).json() if v["video_id"] == video_id
    ]
    assert requests.get(shown[0]["thumbnail_url"], timeout=30).content.startswith(b"\xff\xd8")

    assert voter.send("POST", f"/api/public/videos/{video_id}/vote").status_code == 200
    assert voter.send("POST", f"/api/public/videos/{video_id}/vote").status_code == 400
    place = {"position": 1, "username": "Super Player", "city": "Cali", "votes": 1}
    until(
        lambda: requests.get(f"{system.url}/api/public/rankings?city=cali", timeout=30).json() == [place], seconds=10
    )
    assert player.send("DELETE", f"/api/videos/{video_id}").status_code == 400


def test_a_video_deleted_while_it_is_processed_leaves_no_object_and_is_found_no_more(system, make_player, clips):
    player = make_player()
    video_id = player.upload(clips["good"]).json()["video_id"]
    until(lambda: working_on(system, video_id))

    assert player.send("DELETE", f"/api/videos/{video_id}").status_code == 200

    until(lambda: not encoders())
    until(lambda: not [key for key in objects(system) if video_id in key], seconds=20)
    assert player.send("GET", f"/api/videos/{video_id}").status_code == 404


def test_a_worker_killed_in_mid_encode_loses_nothing(system, make_player, clips):
    player = make_player()
    video_id = player.upload(clips["good"]).json()["video_id"]
    until(lambda: working_on(system, video_id))

    system.kill("worker", signal.SIGKILL)

    assert player.wait_for(video_id, seconds=180)["status"] == "processed"


def test_a_worker_asked_to_stop_hands_its_video_to_the_next_at_once(system, make_player, clips):
    player = make_player()
    video_id = player.upload(clips["good"]).json()["video_id"]
    until(lambda: working_on(system, video_id))

    system.restart("worker")

    assert player.wait_for(video_id, seconds=40)["status"] == "processed"


def test_while_the_database_is_away_the_api_says_so_and_then_works_on(system, make_player):
    player = make_player()
    system.stop("database")
    try:
        answer = player.send("GET", "/api/videos")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert requests.get(f"{system.url}/healthz", timeout=30).status_code == 200
        ready = requests.get(f"{system.url}/readyz", timeout=30)
        assert (ready.status_code, set(ready.json()["fields"])) == (503, {"database"})
    finally:
        system.start("database")

    assert until(lambda: player.send("GET", "/api/videos").status_code == 200, seconds=10)


def test_a_video_accepted_while_the_queue_was_away_is_processed_afterwards(system, make_player, clips):
    player = make_player()
    # The emulator is object store and queue in one: the queue is taken away alone
    sqs = boto3.session.Session("test", "test", region_name="us-east-1").client(
        "sqs", endpoint_url=system.emulator.endpoint
    )
    sqs.delete_queue(QueueUrl=system.environment["ANB_QUEUE_URL"])
    sqs.close()

    uploaded = player.upload(clips["good"])
    assert uploaded.status_code == 201
    ready = requests.get(f"{system.url}/readyz", timeout=30)
    assert (ready.status_code, set(ready.json()["fields"])) == (503, {"queue"})
    system.emulator.create_resources()

    assert player.wait_for(uploaded.json()["video_id"])["status"] == "processed"


def test_while_the_object_store_is_away_an_upload_is_refused_and_can_be_repeated(system, make_player, clips):
    player = make_player()
    system.stop("emulator")
    try:
        refused = player.upload(clips["good"], **{"Idempotency-Key": "try-1"})
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
    finally:
        system.start("emulator")

    assert player.upload(clips["good"], **{"Idempotency-Key": "try-1"}).status_code == 201
    assert len(player.send("GET", "/api/videos").json()) == 1


def web_memory_kib(system):
    """Return the peak memory of each web process."""
    peaks = []
    web = system.pid("web")
    for pid in Path(f"/proc/{web}/task/{web}/children").read_text().split():
        status = Path(f"/proc/{pid}/status").read_text()
        peaks.append(int(re.findall(r"VmHWM:\s+(\d+)", status)[0]))
    return peaks


def test_an_upload_of_100_mb_adds_at_most_32_mb_to_the_web_processes(system, make_player, clips, tmp_path):
    player, large = make_player(), tmp_path / "large.mp4"
    player.upload(clips["12 seconds"])
    content = clips["good"].read_bytes()
    padding = 100 * MEBIBYTE - len(content)
    large.write_bytes(content + struct.pack(">I4s", padding, b"free") + bytes(padding - 8))
    before = web_memory_kib(system)

    assert player.upload(large).status_code == 201

    assert max(after - b for after, b in zip(web_memory_kib(system), before, strict=True)) <= 32 * 1024


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/api/public/rankings?page_size={'9' * 15_000}", {}, 400),
        ("/api/public/rankings", {"X-Long": "x" * 15_000}, 200),
        ("/api/public/rankings", {f"X-{number}": "x" for number in range(500)}, 200),
    ],
    ids=["long address", "long header", "many headers"],
)
def test_what_nginx_lets_through_the_api_answers_itself(system, path, headers, status):
    answer = requests.get(f"{system.url}{path}", headers=headers, timeout=30)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"


def test_one_byte_more_than_100_mb_is_refused_in_the_one_shape(make_player, clips, tmp_path):
    player = make_player()
    for extra in (1, 10 * MEBIBYTE):
        large = tmp_path / "large.mp4"
        content = clips["good"].read_bytes()
        padding = 100 * MEBIBYTE - len(content) + extra
        large.write_bytes(content + struct.pack(">I4s", padding, b"free") + bytes(padding - 8))

        refused = player.upload(large)

        assert refused.status_code == 400
        assert {"error", "message", "detail"} <= set(json.loads(refused.text))
