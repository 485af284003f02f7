"""A class that does everything at once is served, and health says whether the application serves."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
import requests
from sqlalchemy import insert

from anb.database import connect
from anb.models import Standing, Status, User, Video, now
from local.system import SERVICES, running_system
from tests.people import NAMES, PASSWORD, registration
from tests.waiting import until

CLASS = 30


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """Everything but the worker: nobody waits for a video."""
    with running_system(tmp_path_factory.mktemp("system"), services=set(SERVICES) - {"worker"}) as system:
        yield system


@pytest.fixture
def published(system):
    """The id of a video that is open to votes."""
    engine = connect(system.environment["ANB_DATABASE_URL"], pool_size=1)
    player, video_id = {**NAMES, "email": f"{uuid4().hex}@example.com", "password_hash": "nobody's"}, uuid4()
    video = {"id": video_id, "title": "x", "status": Status.PROCESSED, "request_id": "x", "attempt": 1}
    with engine.begin() as connection:
        player_id = connection.execute(insert(User).values(player)).lastrowid
        times = {"uploaded_at": now(), "processed_at": now()}
        connection.execute(insert(Video).values(**video, **times, user_id=player_id))
        connection.execute(insert(Standing).values(user_id=player_id, city=NAMES["city"]))
    engine.dispose()
    return video_id


def test_a_class_behind_one_address_does_everything_at_once_and_nobody_is_refused(system, clips, published):
    clip = clips["good"].read_bytes()
    together = threading.Barrier(CLASS)

    def send(method, path, **sent):
        together.wait()
        return requests.request(method, f"{system.url}{path}", timeout=60, **sent)

    def take_part(number):
        person = registration(last_name=f"Gil {number}")
        signed_up = send("POST", "/api/auth/signup", json=person)
        login = send("POST", "/api/auth/login", json={"email": person["email"], "password": PASSWORD})
        bearer = {"headers": {"Authorization": f"Bearer {login.json().get('access_token')}"}}
        begun = send("POST", "/api/videos/uploads", json={"title": "Tiro", "size": len(clip)}, **bearer)
        assert (signed_up.status_code, login.status_code, begun.status_code) == (201, 200, 201), (
            signed_up.text + login.text + begun.text
        )
        form = begun.json()
        stored = requests.post(form["url"], data=form["fields"], files={"file": clip}, timeout=60)
        complete = send("POST", f"/api/videos/uploads/{form['video_id']}/complete", **bearer)
        through_us = send(
            "POST", "/api/videos/upload", data={"title": "Tiro"}, files={"video_file": ("clip.mp4", clip)}, **bearer
        )
        vote = send("POST", f"/api/public/videos/{published}/vote", **bearer)
        page, ranking = send("GET", "/"), send("GET", "/api/public/rankings")
        answers = (signed_up, login, begun, stored, complete, through_us, vote, page, ranking)
        return [answer.status_code for answer in answers]

    def take_part_or_let_the_others_go(number):
        try:
            return take_part(number)
        except threading.BrokenBarrierError:
            return "let go"
        except Exception as error:  # noqa: BLE001 whatever it was, the test is to tell it
            together.abort()
            return repr(error)

    with ThreadPoolExecutor(CLASS) as players:
        statuses = list(players.map(take_part_or_let_the_others_go, range(CLASS)))

    assert [status for status in statuses if status != "let go"] == [
        [201, 200, 201, 204, 201, 201, 200, 200, 200]
    ] * CLASS


def health(system):
    return requests.get(f"{system.url}/healthz", timeout=30)


@contextmanager
def frozen(system, service):
    """Let all processes of a service stand still."""
    os.killpg(system.pid(service), signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(system.pid(service), signal.SIGCONT)


def test_health_fails_within_seconds_when_the_application_hangs(system):
    with frozen(system, "web"):
        hanging = health(system)

    assert hanging.status_code == 503
    assert hanging.elapsed.total_seconds() < 10  # for which the load balancer waits
    until(lambda: health(system).status_code == 200)


def test_health_fails_when_the_application_is_gone(system):
    system.stop("web")
    try:
        assert health(system).status_code == 503
    finally:
        system.start("web")
    assert health(system).status_code == 200
