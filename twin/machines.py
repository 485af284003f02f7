"""What is the same for simulated instances and for those of real processes: how they come and go."""

import math
import random
from collections.abc import Callable

from twin.assumptions import Assumptions
from twin.fleet import RunningFleet
from twin.groups import Instance
from twin.loop import Loop

_SPREAD = 0.2  # standard deviation of the duration of a launch or a boot over its mean


def lasting(generator: random.Random, mean: float, spread: float) -> float:
    """Draw a duration: log-normal, with that mean and a standard deviation of `spread` times it."""
    variance = math.log(1 + spread**2)
    return generator.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance)) if mean else 0.0


class Machines:
    """Instances that start, boot and end. A subclass says what one does then, and what dies with it."""

    def __init__(self, *, loop: Loop, assumptions: Assumptions, generator: random.Random) -> None:
        self.loop, self.assumptions, self.generator = loop, assumptions, generator
        self.launched: dict[str, float] = {}
        self.instance_seconds = 0.0

    def connect(self, fleet: RunningFleet) -> None:
        """Tell this fleet from now on."""
        self.fleet = fleet

    def launch(self, instance: Instance) -> None:
        """It costs from its launch, runs some seconds later, and can work when it has booted."""
        self.launched[instance.id] = self.loop.now()
        starts, boots = self.draw_start()
        self.loop.call_later(starts, lambda: self.if_there(instance.id, self.fleet.running))
        self.loop.call_later(starts + boots, lambda: self.if_there(instance.id, self.booted))

    def draw_start(self) -> tuple[float, float]:
        """Return how long the next instance takes to run, and to boot then."""
        starts = lasting(self.generator, self.assumptions.launch + self.assumptions.in_service, _SPREAD)
        return starts, lasting(self.generator, self.assumptions.boot, _SPREAD)

    def booted(self, instance: str) -> None:
        """Begin to work."""
        raise NotImplementedError

    def if_there(self, instance: str, call: Callable[[str], None]) -> None:
        """Call it with the instance, unless that is gone."""
        if instance in self.launched:
            call(instance)

    def end(self, instance: Instance) -> None:
        """It is gone at once."""
        self.lose(instance.id)
        self.fleet.ended(instance.id)

    def fail(self, instance: str) -> None:
        """Have it die of itself."""
        if instance in self.launched:
            self.lose(instance)
            self.fleet.stopped(instance)

    def vanish(self, instance: str) -> None:
        """Have it die of itself, which its group finds out when it looks at the health of its instances next."""
        if instance in self.launched:
            self.lose(instance)
            unnoticed = self.assumptions.health_check_interval * self.generator.random()
            self.loop.call_later(unnoticed, lambda: self.fleet.stopped(instance))

    def fail_one(self) -> None:
        """Have any of them die of itself."""
        if self.launched:
            self.fail(self.generator.choice(list(self.launched)))

    def lose(self, instance: str) -> None:
        """Drop an instance, which costs nothing from now on."""
        if instance in self.launched:
            self.instance_seconds += self.loop.now() - self.launched.pop(instance)

    def spent_instance_seconds(self) -> float:
        """Return what all instances have cost until now."""
        return self.instance_seconds + sum(self.loop.now() - since for since in self.launched.values())
