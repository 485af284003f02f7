"""What worker and Auto Scaling group do for each other, with real HTTP in both directions."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from anb.models import Status
from anb.timings import Timings
from anb_worker.instance import Group, Metadata, MetadataAway, Share, autoscaling_client
from anb_worker.termination import Protection, Termination
from anb_worker.watchdog import Watchdog
from tests.waiting import until
from twin.instance_cloud import running_cloud


@pytest.fixture
def cloud():
    with running_cloud() as cloud:
        yield cloud


@pytest.fixture
def metadata(cloud):
    return Metadata(cloud.url)


@pytest.fixture
def client(cloud):
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = boto3.client(
        "autoscaling", endpoint_url=cloud.url, config=Config(retries={"total_max_attempts": 1}), **keys
    )
    yield client
    client.close()


@pytest.fixture
def group(client, metadata):
    return Group(client, metadata, name="anb-workers", hook="finish-job")


@pytest.fixture
def stop():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def make_termination(metadata, group, stop, tmp_path):
    """Return a factory of watches, each as if in a worker of its own."""
    (tmp_path / "presence").touch()
    made = []

    def make(**options):
        timings = Timings(**{"termination_poll_seconds": 0.05, "lifecycle_heartbeat_seconds": 0.1, **options})
        made.append(Termination(metadata, group, presence=tmp_path / "presence", stop=stop, timings=timings))
        return made[-1]

    yield make
    for termination in made:
        termination._completed.set()


@pytest.fixture
def make_protection(group, tmp_path):
    (tmp_path / "work").touch()
    return lambda: Protection(group, work=tmp_path / "work")


# ---- metadata


def test_metadata_are_read_with_a_token(metadata):
    assert metadata.get("instance-id") == "i-0123456789"


def test_an_instance_outside_a_group_has_no_state(metadata, cloud):
    cloud.state = None

    assert metadata.get("autoscaling/target-lifecycle-state") is None


def test_a_token_that_has_run_out_is_renewed(metadata, cloud):
    metadata.get("instance-id")
    cloud.tokens.append("token-2")

    assert metadata.get("instance-id") == "i-0123456789"


def test_a_metadata_service_that_is_not_there_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"

    with pytest.raises(MetadataAway):
        Metadata(address).get("instance-id")


def test_the_metadata_service_is_looked_for_where_botocore_does(cloud, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.url + "/")

    assert Metadata.configured().get("instance-id") == "i-0123456789"


# ---- the group


def test_the_group_is_asked_for_this_instance_and_hook(group, cloud):
    assert group.protect(True)
    assert group.record_heartbeat()
    assert group.complete_lifecycle_action()

    assert cloud.actions() == [
        "SetInstanceProtection",
        "RecordLifecycleActionHeartbeat",
        "CompleteLifecycleAction",
    ]
    assert cloud.actions(of="AutoScalingGroupName") == ["anb-workers"] * 3
    assert cloud.calls[0]["InstanceIds.member.1"] == "i-0123456789"
    assert cloud.calls[0]["ProtectedFromScaleIn"] == "true"
    assert cloud.calls[2]["InstanceId"] == "i-0123456789"
    assert cloud.calls[2]["LifecycleHookName"] == "finish-job"
    assert cloud.calls[2]["LifecycleActionResult"] == "CONTINUE"


@pytest.mark.parametrize(
    ("action", "ask"),
    [
        ("SetInstanceProtection", lambda group: group.protect(True)),
        ("RecordLifecycleActionHeartbeat", Group.record_heartbeat),
        ("CompleteLifecycleAction", Group.complete_lifecycle_action),
    ],
)
def test_what_the_account_does_not_allow_is_logged_once_and_not_asked_for_again(group, cloud, caplog, action, ask):
    cloud.forbidden.add(action)

    assert ask(group)
    assert ask(group)

    assert cloud.actions() == [action]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_group_that_does_not_answer_may_be_asked_again(group, cloud):
    cloud.broken = True

    assert not group.protect(True)


def test_nobody_waits_long_for_a_group_that_hangs(metadata, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_AUTO_SCALING", f"http://127.0.0.1:{server.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        client = autoscaling_client()
        started = time.monotonic()

        assert not Group(client, metadata, name="anb-workers", hook="finish-job").protect(True)
        assert time.monotonic() - started < 10  # 3 s on a machine that has nothing else to do; botocore's own are 60
        client.close()


# ---- workers of one instance


def test_the_last_of_several_workers_knows_that_it_is(tmp_path):
    (tmp_path / "file").touch()
    first, second = Share(tmp_path / "file"), Share(tmp_path / "file")
    first.take()
    second.take()

    with first.given_back() as is_last:
        assert not is_last
    with second.given_back() as is_last:
        assert is_last


def test_a_worker_that_was_killed_holds_nothing(tmp_path):
    (tmp_path / "file").touch()
    hold = "import sys, time; from pathlib import Path; from anb_worker.instance import Share"
    hold += "; Share(Path(sys.argv[1])).take(); print(flush=True); time.sleep(60)"
    mine = Share(tmp_path / "file")
    mine.take()
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path / "file"], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with mine.given_back() as is_last:
            assert not is_last
        other.kill()

    with mine.given_back() as is_last:
        assert is_last


# ---- protection while busy


def test_a_worker_tells_its_group_when_it_begins_and_when_it_has_nothing_more_to_do(make_protection, cloud):
    protection = make_protection()

    for busy in (False, False, True, True, False, False):
        protection(busy)

    assert cloud.actions(of="ProtectedFromScaleIn") == ["false", "true", "false"]


def test_an_instance_is_protected_until_its_last_worker_is_idle(make_protection, cloud):
    first, second = make_protection(), make_protection()
    first(True)
    second(True)

    first(False)
    assert cloud.actions(of="ProtectedFromScaleIn") == ["true", "true"]
    second(False)
    assert cloud.actions(of="ProtectedFromScaleIn") == ["true", "true", "false"]


def test_an_account_without_protection_is_asked_once_and_works(make_protection, cloud):
    cloud.forbidden.add("SetInstanceProtection")
    protection = make_protection()

    for busy in (True, False, True, False):
        protection(busy)

    assert len(cloud.calls) == 1


def test_a_protection_that_could_not_be_taken_away_is_taken_away_later(make_protection, cloud):
    protection = make_protection()
    protection(True)
    cloud.broken = True
    protection(False)
    cloud.broken = False

    protection(False)

    assert cloud.actions(of="ProtectedFromScaleIn") == ["true", "false"]


# ---- termination


def test_an_instance_that_may_stay_is_left_alone(make_termination, cloud):
    termination = make_termination()
    termination.start()

    assert not termination.requested.wait(0.3)
    assert cloud.calls == []


def test_a_worker_that_starts_on_an_instance_in_termination_knows_before_it_takes_anything(make_termination, cloud):
    cloud.state = "Terminated"
    termination = make_termination()
    termination.start()

    assert termination.requested.is_set()


def test_heartbeats_are_recorded_while_the_work_lasts_and_then_the_action_is_completed(make_termination, cloud):
    termination = make_termination()
    termination.start()
    cloud.state = "Terminated"
    until(lambda: len(cloud.asked("RecordLifecycleActionHeartbeat")) >= 2)
    assert not cloud.asked("CompleteLifecycleAction")

    termination.complete()

    assert len(cloud.asked("CompleteLifecycleAction")) == 1
    assert cloud.actions()[-1] == "CompleteLifecycleAction"


def test_only_the_last_worker_of_an_instance_completes_the_lifecycle_action(make_termination, cloud):
    cloud.state = "Terminated"
    first, second = make_termination(lifecycle_heartbeat_seconds=60), make_termination(lifecycle_heartbeat_seconds=60)
    first.start()
    second.start()

    first.complete()
    assert cloud.calls == []
    second.complete()
    assert cloud.actions() == ["CompleteLifecycleAction"]


def test_a_machine_without_metadata_says_so_once_and_works(group, stop, tmp_path, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = Metadata(f"http://127.0.0.1:{server.getsockname()[1]}")
    (tmp_path / "presence").touch()
    termination = Termination(
        nobody, group, stop=stop, presence=tmp_path / "presence", timings=Timings(termination_poll_seconds=0.02)
    )
    termination.start()

    assert not termination.requested.wait(0.3)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


# ---- the worker


@pytest.fixture
def worker_on_instance(make_worker, stop, make_termination, make_protection):
    """Run a worker in a thread, as the program composes it; `join` returns when it has ended."""
    termination = make_termination()
    termination.start()
    worker = make_worker(stop=stop, terminating=termination.requested, busy=make_protection())

    def work():
        worker.run()
        termination.complete()

    return threading.Thread(target=work)


def test_a_busy_worker_finishes_its_job_takes_no_other_and_lets_the_instance_end(
    enqueue, row, jobs, cloud, worker_on_instance, tmp_path, long_clip
):
    first, second = enqueue(long_clip), enqueue(long_clip)
    worker_on_instance.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))

    cloud.state = "Terminated"
    worker_on_instance.join()

    assert sorted([row(first).status, row(second).status]) == [Status.PROCESSED, Status.UPLOADED]
    waiting = first if row(first).status == Status.UPLOADED else second
    assert row(waiting).attempt == 0
    assert jobs.receive(wait_seconds=1).job.video_id == waiting.id
    assert cloud.actions()[0] == "SetInstanceProtection"
    assert cloud.asked("RecordLifecycleActionHeartbeat")
    assert cloud.actions()[-1] == "CompleteLifecycleAction"


def test_a_refusing_account_costs_a_worker_in_termination_nothing(
    enqueue, row, cloud, worker_on_instance, tmp_path, long_clip
):
    cloud.forbidden |= {"SetInstanceProtection", "RecordLifecycleActionHeartbeat", "CompleteLifecycleAction"}
    video = enqueue(long_clip)
    worker_on_instance.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))

    cloud.state = "Terminated"
    worker_on_instance.join()

    assert row(video).status == Status.PROCESSED
    assert sorted(cloud.actions()) == sorted(cloud.forbidden)


def test_a_message_that_arrives_during_the_termination_is_handed_back(enqueue, row, jobs, make_worker):
    video, terminating = enqueue(b"never read"), threading.Event()
    terminating.set()

    make_worker(terminating=terminating).handle(jobs.receive(wait_seconds=2))

    assert row(video).attempt == 0
    assert jobs.receive(wait_seconds=1).job.video_id == video.id


# ---- the program


@pytest.fixture
def program(aws, cloud, database_url, engine, tmp_path):  # noqa: ARG001 for a schema that is there
    """Start workers as systemd does: settings in the environment, a socket for what they have to say."""
    processes: list[subprocess.Popen[bytes]] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(30)

    def start():
        environment = {
            **os.environ,
            **aws.environment,
            "ANB_DATABASE_URL": database_url,
            "ANB_SCRATCH_DIR": str(tmp_path / f"scratch-{len(processes)}"),
            **cloud.environment,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "2000000",
        }
        output = (tmp_path / f"worker-{len(processes)}.log").open("wb")
        with output:
            processes.append(
                subprocess.Popen([sys.executable, "-m", "anb_worker", "run"], env=environment, stdout=output)
            )
        return processes[-1], listener

    yield start
    for process in processes:
        process.kill()
        process.wait()
    listener.close()


def heard(listener, what):
    """Read what workers tell systemd, until this."""
    while (said := listener.recv(100).decode()) != what:
        assert said in {"READY=1", "WATCHDOG=1", "STOPPING=1"}
    return True


def test_two_idle_workers_complete_the_action_and_wait_for_the_end_without_being_started_again(program, cloud):
    (first, listener), (second, _) = program(), program()
    assert heard(listener, "READY=1")
    assert heard(listener, "READY=1")

    cloud.state = "Terminated"
    until(lambda: cloud.asked("CompleteLifecycleAction"))

    assert heard(listener, "WATCHDOG=1")
    assert (first.poll(), second.poll()) == (None, None)
    for process in (first, second):
        process.send_signal(signal.SIGTERM)
    assert heard(listener, "STOPPING=1")
    assert (first.wait(10), second.wait(10)) == (0, 0)
    assert len(cloud.asked("CompleteLifecycleAction")) == 1


def test_an_idle_worker_ends_quickly_when_it_is_told_to(program):
    process, listener = program()
    assert heard(listener, "READY=1")

    started = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(25) == 0
    assert time.monotonic() - started < 10


# ---- systemd


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(1)
        yield listener


def test_systemd_hears_no_more_signs_of_life_than_it_needs(systemd, tmp_path):
    watchdog = Watchdog.from_environment({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"})

    watchdog.ready()
    for _ in range(100):
        watchdog.alive()
    watchdog.stopping()

    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_nobody_hears_anything_without_systemd(tmp_path):
    watchdog = Watchdog.from_environment({})

    watchdog.ready()
    watchdog.alive()

    assert list(Path(tmp_path).iterdir()) == []


def test_a_systemd_that_has_gone_away_is_no_trouble(tmp_path):
    Watchdog(address=str(tmp_path / "nobody"), watchdog_seconds=1).ready()


def test_a_worker_gives_signs_of_life_while_it_works(enqueue, row, jobs, make_worker, long_clip):
    signs, video = [], enqueue(long_clip)

    make_worker(alive=lambda: signs.append(time.monotonic())).handle(jobs.receive(wait_seconds=2))

    assert row(video).status == Status.PROCESSED
    assert max(later - earlier for earlier, later in pairwise(signs)) < 5
