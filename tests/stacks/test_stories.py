"""The stories of `make elastic`, on the simulated clock: what a change of the templates makes of their promises."""

import json
import random
import re
from concurrent.futures import Future
from typing import Any

import pytest

from ops.account.lab import Lab
from twin.account import Session
from twin.assumptions import Assumptions
from twin.fleet import RunningFleet
from twin.loop import Loop, SimulatedClock
from twin.simulated import SimulatedServers, SimulatedWorkers
from twin.stage import Stage
from twin.stories import STORIES
from twin.templates import fleets

GROUP, HOOK = "AWS::AutoScaling::AutoScalingGroup", "AWS::AutoScaling::LifecycleHook"
ALARM = "AWS::CloudWatch::Alarm"


class Workers(SimulatedWorkers):
    """Tells what a story asks."""

    def working(self):
        return list(self._workers)


class People:
    """Players whose uploads are all accepted, and readers who are only counted."""

    def __init__(self, world):
        self.world = world
        self.accepted: dict[int, float] = {}
        self.refused: list[str] = []
        self.answers: list[tuple[float, int]] = []
        self.per_second = 0.0

    def join(self):
        """Nobody has to."""

    def upload(self):
        self.accepted[len(self.accepted)] = self.world.loop.now()
        self.world.encoders.submit()


class World:
    """Both fleets of an assembly, simulated."""

    IDLE_SECONDS = 60

    def __init__(self, assembly, seed):
        made_of = fleets(assembly)
        self.loop = Loop(SimulatedClock())
        self.people = People(self)
        generator = random.Random(seed)  # noqa: S311 a draw that can be repeated
        shared: dict[str, Any] = {"loop": self.loop, "assumptions": Assumptions(), "generator": generator}
        workers, web = made_of["AnbWorker"], made_of["AnbWeb"]
        self.encoders = Workers(
            processes=workers.processors, visibility_seconds=workers.visibility_seconds or 0, **shared
        )
        self.servers = SimulatedServers(
            rate=lambda _: self.people.per_second, cpu_seconds=0.005, processors=web.processors, **shared
        )
        self.workers = RunningFleet(workers, driver=self.encoders, **shared)
        self.web = RunningFleet(web, driver=self.servers, **shared)
        for fleet in (self.workers, self.web):
            fleet.start()

    def run_database(self, *, is_running):
        """It is asked for nothing here."""

    def statuses(self):
        return {"processed": len(self.encoders.took_seconds)}

    def processed_after_seconds(self):
        return [took for _, took in self.encoders.took_seconds]

    def interrupted(self):
        return self.encoders.interrupted

    def instances(self):
        return sorted({*self.servers.launched, *self.encoders.launched})

    def open_zones(self, *zones, is_open):
        for fleet in (self.web, self.workers):
            fleet.open_zones(*zones, is_open=is_open)

    def lose(self, zone):
        for fleet, driver in ((self.web, self.servers), (self.workers, self.encoders)):
            for instance in [it for it in fleet.group.instances.values() if it.zone == zone]:
                driver.vanish(instance.id)


class AtOnce:
    """An executor that has done it when it is asked to."""

    def submit(self, call):
        done: Future[object] = Future()
        done.set_result(call())
        return done


def broken(name, assembly):
    """Play a story with twenty draws, since whom a change hits is a matter of chance; return what did not hold."""
    return " / ".join(sentence for seed in range(20) for sentence in play(name, assembly, seed))


def play(name, assembly, seed):
    """Play a story; return a sentence for each promise that did not hold."""
    world: Any = World(assembly, seed)
    threads: Any = AtOnce()
    stage = Stage(world, world.people, world.people, threads, lambda _: None, assembly)
    STORIES[name].play(stage)
    assert stage.promises
    return [f"{it.sentence}: {it.why_not}" for it in stage.promises if it.why_not]


@pytest.mark.parametrize(
    "name", ["burst", "light-load", "readers", "zone-dies", "lab-session", "paused-session", "session-ends-in-pause"]
)
def test_the_templates_keep_what_a_story_promises(assembly, name):
    assert broken(name, assembly) == ""


def only(assembly, stack, type_):
    return assembly.only(stack, type_).definition["Properties"]


def nobody_is_waited_for(assembly):
    """No hook, and a role that may not protect."""
    template = assembly.templates["AnbWorker"]["Resources"]
    (hook,) = (name for name, it in template.items() if it["Type"] == HOOK)
    del template[hook]
    for it in assembly.resources("AWS::IAM::Policy"):
        if it.stack == "AnbWorker":
            text = json.dumps(it.definition["Properties"]).replace("SetInstanceProtection", "DescribePolicies")
            it.definition["Properties"] = json.loads(text)


def one_worker_at_most(assembly):
    only(assembly, "AnbWorker", GROUP)["MaxSize"] = "1"


def one_zone(assembly):
    for stack in ("AnbWeb", "AnbWorker"):
        del only(assembly, stack, GROUP)["VPCZoneIdentifier"][1:]


def in_only_without_jobs(assembly):
    (alarm,) = (it for it in assembly.resources(ALARM) if it.logical_id.startswith("ScalingSpare"))
    alarm.definition["Properties"]["Threshold"] = -1


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("light-load", nobody_is_waited_for, "no busy worker is interrupted: .* the template has no hook"),
        ("light-load", in_only_without_jobs, "under 60 videos an hour: after 30 min it still has 3 instances"),
        (
            "burst",
            one_worker_at_most,
            "the fleet grows from 1 to 1: the template lets the group have no more",
        ),
        ("zone-dies", one_zone, "replaced in the other zone: the groups know no other zone"),
    ],
)
def test_a_story_says_why_changed_templates_break_its_promise(production, name, change, says):
    assembly = production.assembly
    change(assembly)

    assert re.search(says, broken(name, assembly))


@pytest.mark.parametrize(
    ("name", "of", "left_out", "says"),
    [
        ("paused-session", Session, ["set_instance_protection"], "the pause has waited until there was nothing more"),
        ("paused-session", Lab, ["stop_database"], "0 instances are there, and the database is available"),
        ("session-ends-in-pause", Lab, ["suspend", "empty"], "the groups have started 3 instances that nobody uses"),
    ],
)
def test_a_story_says_what_a_pause_that_leaves_a_step_out_does(academy, monkeypatch, name, of, left_out, says):
    for step in left_out:
        monkeypatch.setattr(of, step, lambda _self, **_asked: None)

    assert says in " / ".join(play(name, academy.assembly, seed=0))
