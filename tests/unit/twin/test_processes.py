"""Instances of real processes, before any of them has booted: whom their zone and their group hear of."""

import random
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest

from local.database import Database
from local.emulator import Emulator
from tests.waiting import until
from twin.assumptions import Assumptions
from twin.groups import Instance
from twin.instance_cloud import running_cloud
from twin.loop import Loop, SimulatedClock
from twin.network import Zone
from twin.processes import ProcessWorkers


class Group:
    """Remembers what it is told."""

    def __init__(self):
        self.fleet = SimpleNamespace(group_name="copy-workers", hook_name="finish-job")
        self.told: list[tuple[str, str]] = []

    def running(self, instance):
        self.told.append(("running", instance))

    def stopped(self, instance):
        self.told.append(("stopped", instance))

    def ended(self, instance):
        self.told.append(("ended", instance))


@pytest.fixture
def zone():
    database = Database(port=9, password="", admin_password="")
    zone = Zone("zone 1", database=database, emulator=Emulator(port=9, web_origin="", visibility_seconds=120))
    yield zone
    zone.close()


@pytest.fixture
def workers(zone):
    parts: Any = SimpleNamespace(zones={"zone 1": zone}, speed=1)
    group: Any = Group()
    generator = random.Random(1)  # noqa: S311 a draw that can be repeated
    workers = ProcessWorkers(parts, loop=Loop(SimulatedClock()), assumptions=Assumptions(), generator=generator)
    workers.connect(group)
    yield workers
    workers.close()


def test_a_group_hears_once_that_an_instance_has_ended_which_died_before(workers):
    instance = Instance("AnbWorker-1", "zone 1", 0)
    workers.launch(instance)
    workers.fail("AnbWorker-1")
    workers.end(instance)
    workers.loop.run(10)

    assert workers.fleet.told == [("stopped", "AnbWorker-1"), ("ended", "AnbWorker-1")]


def test_a_group_hears_of_an_instance_that_vanished_when_it_looks_next(workers):
    workers.launch(Instance("AnbWorker-1", "zone 1", 0))
    workers.vanish("AnbWorker-1")
    workers.loop.run(0)
    assert workers.fleet.told == []

    workers.loop.run(workers.assumptions.health_check_interval)
    assert workers.fleet.told == [("stopped", "AnbWorker-1")]


def test_a_group_hears_that_an_instance_has_ended_as_it_asked(workers):
    instance = Instance("AnbWorker-1", "zone 1", 0)
    workers.launch(instance)
    workers.end(instance)
    until(lambda: workers.loop.run(workers.loop.now()) or workers.fleet.told, seconds=10)

    assert workers.fleet.told == [("ended", "AnbWorker-1")]


def test_an_instance_calls_its_group_by_the_name_that_the_template_gives_it(workers, zone, monkeypatch):
    joined = []
    monkeypatch.setattr(zone, "join", lambda _, cloud: joined.append(cloud))
    workers.launch(Instance("AnbWorker-1", "zone 1", 0))

    assert joined[0].environment["ANB_AUTO_SCALING_GROUP"] == "copy-workers"


def test_who_joins_a_zone_that_is_cut_is_cut_off_too(zone):
    with running_cloud() as before, running_cloud() as after:
        zone.join("before", before)
        zone.cut()
        zone.join("after", after)
        assert before.broken
        assert after.broken

        zone.heal()
        assert not before.broken
        assert not after.broken


def answers(port):
    """Whether somebody answers there, whatever it is."""
    connection = HTTPConnection("127.0.0.1", port, timeout=0.2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except TimeoutError:
        return False
    finally:
        connection.close()


def test_nobody_reaches_an_instance_in_a_zone_that_is_cut(zone):
    with running_cloud() as server:
        port = zone.open_way("AnbWeb-1", server.server_port)
        assert answers(port)
        zone.cut()
        assert not answers(port)

        zone.heal()
        assert answers(port)
