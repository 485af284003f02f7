"""How an Auto Scaling group goes about its size: what happens to it goes in, what it has done comes out.

Pure state: no clock, no network. `AS` below is https://docs.aws.amazon.com/autoscaling/ec2/userguide/.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from twin.alarms import Alarm, Measure
from twin.assumptions import Assumptions

_LONGEST_WAIT_SECONDS = 48 * 3600


class State(StrEnum):
    """Where an instance is in its life (AS ec2-auto-scaling-lifecycle.html)."""

    PENDING = "Pending"
    IN_SERVICE = "InService"
    DRAINING = "Terminating"
    WAITING = "Terminating:Wait"
    ENDING = "Terminating:Proceed"


@dataclass
class Instance:
    """One instance of a group."""

    id: str
    zone: str
    launched_at: float
    state: State = State.PENDING
    in_service_at: float = math.inf
    is_protected: bool = False
    is_dead: bool = False
    is_unwell: bool = False
    wait_until: float = math.inf
    """When the hook goes on without us."""
    wait_at_most_until: float = math.inf

    @property
    def is_active(self) -> bool:
        """Whether the group counts it: it is neither leaving nor found unwell."""
        return self.state in {State.PENDING, State.IN_SERVICE}

    def is_warm(self, now: float, warm_up_seconds: float) -> bool:
        """Whether its numbers count; the warm-up starts when it is in service."""
        return self.state is State.IN_SERVICE and now >= self.in_service_at + warm_up_seconds


class Does(StrEnum):
    """What a group does to an instance."""

    LAUNCH = "launch"
    REGISTER = "register"
    DEREGISTER = "deregister"
    ANNOUNCE = "announce"  # its metadata says that it shall end, the hook waits
    END = "end"


@dataclass(frozen=True)
class Action:
    """Something that the group has done."""

    does: Does
    instance: Instance


@dataclass(frozen=True)
class Size:
    """Between how many and how many instances."""

    least: int
    most: int


@dataclass(frozen=True)
class Hook:
    """A termination waits for `complete`, at most so long after the last heartbeat."""

    heartbeat_seconds: int


@dataclass(frozen=True)
class Maintenance:
    """Between which shares of the desired size a replacement keeps the group."""

    least_percent: int
    most_percent: int


@dataclass(frozen=True)
class Step:
    """An adjustment for values so far from the alarm's threshold; None is infinite."""

    lower: float | None
    upper: float | None
    adjustment: int


@dataclass(frozen=True, kw_only=True)
class StepPolicy:
    """Adjusts the size by how far the metric is beyond the threshold."""

    ADJUSTMENTS: ClassVar = ("ChangeInCapacity", "PercentChangeInCapacity")

    warm_up_seconds: int
    adjustment: str
    steps: tuple[Step, ...]
    least_magnitude: int = 1

    def change(self, capacity: int, difference: float) -> int:
        """Return by how many a capacity of warm instances changes, 0 where no step fits.

        Bounds are relative to the threshold: above it the lower one is part of the step, below it the upper one.
        Percentages round down from 1 up, up to 1 below, and alike towards zero when negative; a least magnitude
        is for them alone. AS as-scaling-simple-step.html: at 10 instances +30 % adds 3, and -30 % of 13 takes 3.
        """
        step = next((step for step in self.steps if _holds(step, difference)), None)
        if step is None:
            return 0
        change = step.adjustment
        if self.adjustment == "PercentChangeInCapacity":
            change = _rounded(capacity * step.adjustment / 100)
            if change and abs(change) < self.least_magnitude:
                change = self.least_magnitude if change > 0 else -self.least_magnitude
        return change


def _holds(step: Step, difference: float) -> bool:
    lower = -math.inf if step.lower is None else step.lower
    upper = math.inf if step.upper is None else step.upper
    return lower <= difference < upper if difference >= 0 and upper > 0 else lower < difference <= upper


def _rounded(change: float) -> int:
    if 0 < abs(change) < 1:
        return 1 if change > 0 else -1
    return math.trunc(change + math.copysign(1e-9, change))


@dataclass(frozen=True, kw_only=True)
class TrackingPolicy:
    """Keeps a metric near a target, by two alarms of its own."""

    warm_up_seconds: int
    target: float
    shrinks: bool
    measure: Measure

    def alarms(self, name: str, assumptions: Assumptions) -> list[Alarm]:
        """Return its alarms: above the target for 3 minutes, below `low_threshold` of it for 15.

        Where scale-in is disabled there is no second one. AS as-scaling-target-tracking.html tells of the alarms;
        their periods and thresholds are those that people have seen.
        """
        high = Alarm(
            name=f"{name}-AlarmHigh",
            policy=name,
            measure=self.measure,
            comparison="GreaterThanThreshold",
            threshold=self.target,
            periods=3,
            datapoints=3,
        )
        low = Alarm(
            name=f"{name}-AlarmLow",
            policy=name,
            measure=self.measure,
            comparison="LessThanThreshold",
            threshold=self.target * assumptions.low_threshold,
            periods=15,
            datapoints=15,
        )
        return [high, low] if self.shrinks else [high]


Policy = StepPolicy | TrackingPolicy


@dataclass(frozen=True)
class Request:
    """An alarm that is in ALARM asks its policy to act on the metric's value."""

    alarm: Alarm
    value: float


class Group:
    """The state of a group. Each method takes what happened at `now` and returns what the group then did.

    `agree` says whether all other policies that may shrink the group want it, too.
    """

    def __init__(
        self,
        *,
        name: str,
        size: Size,
        zones: Sequence[str],
        hook: Hook | None,
        maintenance: Maintenance | None,
        warm_up_seconds: int,
        has_targets: bool,
        policies: Mapping[str, Policy],
        assumptions: Assumptions,
    ) -> None:
        self.desired = size.least
        self.instances: dict[str, Instance] = {}
        self._name, self._size, self._hook, self._maintenance = name, size, hook, maintenance
        self._warm_up_seconds, self._has_targets = warm_up_seconds, has_targets
        self._policies, self._assumptions = policies, assumptions
        self._zones = dict.fromkeys(zones, True)
        self._suspended = frozenset[str]()
        self._numbers = itertools.count(1)
        self._uneven_since: float | None = None
        self._moving: Instance | None = None

    @property
    def size(self) -> Size:
        """Between how many and how many instances it has been told to have."""
        return self._size

    # ---- what happens to it

    def settle(self, now: float) -> list[Action]:
        """Do what is due: launch what is missing, end what is too much, end waits that are over, rebalance.

        Scale-in takes from the zone with most instances, then by OldestLaunchTemplate and OldestInstance, and passes
        over what is protected: the desired size falls all the same (AS ec2-auto-scaling-termination-policies.html,
        ec2-auto-scaling-instance-protection.html). No template changes here, so that the oldest instance goes.
        """
        done = self._end_waits(now) + ([] if "ReplaceUnhealthy" in self._suspended else self._replace_unwell(now))
        launches = "Launch" not in self._suspended
        while launches and len(self._counted()) < self.desired and any(self._zones.values()):
            done.append(self._launch(now))
        while len(self._counted()) > self.desired and (victim := self._victim(self._counted())):
            done += self._terminate(victim, now)
        return done if "AZRebalance" in self._suspended else done + self._rebalance(now)

    def running(self, id_: str, now: float) -> list[Action]:
        """An instance runs: without a launch hook it is registered and in service at once.

        Not when its balancer or its service says so (AS ec2-auto-scaling-lifecycle.html).
        """
        instance = self.instances.get(id_)
        if instance is None or instance.state is not State.PENDING:
            return []
        instance.state, instance.in_service_at = State.IN_SERVICE, now
        done = [Action(Does.REGISTER, instance)] if self._has_targets else []
        return done + self.settle(now)

    def stopped(self, id_: str, now: float) -> list[Action]:
        """An instance runs no more, and nobody told it to: replaced at once, whatever its grace period.

        Stopped or terminated makes no difference (AS ec2-auto-scaling-health-checks.html). A termination hook waits
        for the dead, too; its replacement does not wait.
        """
        instance = self.instances.get(id_)
        if instance is None:
            return []
        instance.is_dead = True
        done = self._terminate(instance, now) if instance.is_active else []
        return done + self.settle(now)

    def unwell(self, ids: Sequence[str], now: float) -> list[Action]:
        """The balancer has found these unhealthy after their grace period: they are replaced one by one."""
        for instance in self.instances.values():
            instance.is_unwell = instance.id in ids
        return self.settle(now)

    def protect(self, id_: str, *, is_protected: bool, now: float) -> list[Action]:
        """An instance is protected from scale-in, or no longer.

        Neither from health replacement nor, as assumed, from rebalancing.
        """
        if id_ in self.instances:
            self.instances[id_].is_protected = is_protected
        return self.settle(now)

    def drained(self, id_: str, now: float) -> list[Action]:
        """The balancer has let go of an instance that shall end."""
        instance = self.instances.get(id_)
        return self._wait_or_end(instance, now) if instance and instance.state is State.DRAINING else []

    def heartbeat(self, id_: str, now: float) -> None:
        """An instance in termination asks for its time anew, at most 48 hours or a hundred times in all.

        AS lifecycle-hooks.html; the heartbeat's time-out is 30 to 7200 s, 3600 if none is given.
        """
        instance = self.instances.get(id_)
        if instance and self._hook and instance.state is State.WAITING:
            instance.wait_until = min(now + self._hook.heartbeat_seconds, instance.wait_at_most_until)

    def complete(self, id_: str, now: float) -> list[Action]:
        """An instance in termination is ready. Both results, CONTINUE and ABANDON, end it."""
        instance = self.instances.get(id_)
        return self._end(instance, now) if instance and instance.state is State.WAITING else []

    def ended(self, id_: str) -> None:
        """The machine is gone."""
        self.instances.pop(id_, None)

    def open_zones(self, *zones: str, is_open: bool, now: float) -> list[Action]:
        """Zones take instances, or not; what one cannot take starts in another (AS auto-scaling-benefits.html)."""
        self._zones |= dict.fromkeys(zones, is_open)
        return self.settle(now)

    def suspend(self, *processes: str) -> None:
        """Leave these of its processes until `resume` (AS as-suspend-resume-processes.html)."""
        self._suspended |= set(processes)

    def resume(self, now: float) -> list[Action]:
        """Go on with all processes, and do at once what they would have done."""
        self._suspended = frozenset()
        return self.settle(now)

    def resize(self, size: Size, now: float, *, desired: int) -> list[Action]:
        """Somebody gives the group another size, and says how many it should have now."""
        self._size, self.desired = size, desired
        return self.settle(now)

    def scale(self, requests: Sequence[Request], now: float, *, agree: Callable[[str], bool]) -> list[Action]:
        """Act on what alarms ask for at one moment: the largest size wins, out and in alike.

        AS as-scale-based-on-demand.html; a group that does not change answers again when an alarm repeats itself,
        once a minute.
        """
        if "AlarmNotification" in self._suspended:
            return self.settle(now)
        asked = [self._asked(request, now, agree) for request in requests]
        if sizes := [size for size in asked if size is not None]:
            self.desired = min(max(*sizes, self._size.least), self._size.most)
        return self.settle(now)

    # ---- how it decides

    def _asked(self, request: Request, now: float, agree: Callable[[str], bool]) -> int | None:
        policy = self._policies[request.alarm.policy]
        warm = [it for it in self.active() if it.is_warm(now, policy.warm_up_seconds)]
        if isinstance(policy, TrackingPolicy):
            out = request.alarm.comparison.startswith("Greater")
            if not out and not agree(request.alarm.policy):
                return None
            wanted = self._tracked(policy, request, len(warm), out=out)
        else:
            change = policy.change(len(warm), request.value - request.alarm.threshold)
            out, wanted = change > 0, len(warm) + change
        if out:
            return max(self.desired, wanted)
        # AS ec2-auto-scaling-default-instance-warmup.html: no scale-in before every warm-up has ended
        return min(self.desired, max(wanted, self._size.least)) if len(warm) == len(self.active()) else None

    def _tracked(self, policy: TrackingPolicy, request: Request, warm: int, *, out: bool) -> int:
        """Out in proportion, rounded up; in little by little: as assumed one at a time.

        AS as-scaling-target-tracking.html; a target of 10 at 15 with 2 instances asks for 3.
        """
        share = warm * request.value / policy.target
        if out:
            return math.ceil(share - 1e-9)
        return math.floor(share) if self._assumptions.shrinks_proportionally else self.desired - 1

    def active(self) -> list[Instance]:
        """Return the instances that are not leaving."""
        return [it for it in self.instances.values() if it.is_active]

    def in_service(self) -> list[Instance]:
        """Return the instances that GroupInServiceInstances counts."""
        return [it for it in self.instances.values() if it.state is State.IN_SERVICE]

    def _counted(self) -> list[Instance]:
        """Return the active ones but for what is there for the time of a replacement."""
        launches_first = self._maintenance is not None and self._maintenance.most_percent > 100
        extra = [self._moving, self._unwell()] if launches_first else [self._moving]
        return [it for it in self.active() if it not in extra]

    def _unwell(self) -> Instance | None:
        return next((it for it in self.active() if it.is_unwell), None)

    def _victim(self, among: Sequence[Instance]) -> Instance | None:
        zones = Counter(it.zone for it in among)
        free = [it for it in among if not it.is_protected]
        return min(free, key=lambda it: (-zones[it.zone], it.launched_at, it.id), default=None)

    def _launch(self, now: float) -> Action:
        """Launch in the open zone with fewest instances (AS auto-scaling-benefits.html)."""
        counts = self._by_zone()
        zone = min(counts, key=lambda zone: counts[zone])
        instance = Instance(f"{self._name}-{next(self._numbers)}", zone, now)
        self.instances[instance.id] = instance
        return Action(Does.LAUNCH, instance)

    def _by_zone(self) -> dict[str, int]:
        counts = Counter(it.zone for it in self.active())
        return {zone: counts[zone] for zone, is_open in self._zones.items() if is_open}

    def _terminate(self, instance: Instance, now: float) -> list[Action]:
        if self._has_targets and not instance.is_dead and instance.state is State.IN_SERVICE:
            instance.state = State.DRAINING
            return [Action(Does.DEREGISTER, instance)]
        return [
            *([Action(Does.DEREGISTER, instance)] if self._has_targets else []),
            *self._wait_or_end(instance, now),
        ]

    def _wait_or_end(self, instance: Instance, now: float) -> list[Action]:
        """Wait for whoever completes the hook; the balancer has let go before (AS lifecycle-hooks-overview.html)."""
        if self._hook is None:
            return self._end(instance, now)
        instance.state = State.WAITING
        instance.wait_at_most_until = now + min(_LONGEST_WAIT_SECONDS, 100 * self._hook.heartbeat_seconds)
        self.heartbeat(instance.id, now)
        return [Action(Does.ANNOUNCE, instance)]

    def _end(self, instance: Instance, _now: float) -> list[Action]:
        instance.state = State.ENDING
        return [Action(Does.END, instance)]

    def _end_waits(self, now: float) -> list[Action]:
        over = [it for it in self.instances.values() if it.state is State.WAITING and it.wait_until <= now]
        return [action for instance in over for action in self._end(instance, now)]

    def _replace_unwell(self, now: float) -> list[Action]:
        """Replace the first that is unwell; the next when its successor is warm (AS ec2-auto-scaling-health-checks).

        Without a maintenance policy it ends first; with one that keeps 100 %, its successor comes first
        (AS instance-maintenance-policy-overview-and-considerations.html).
        """
        unwell = self._unwell()
        if unwell is None:
            return []
        others = [it for it in self.active() if it is not unwell]
        are_warm = all(it.is_warm(now, self._warm_up_seconds) for it in others)
        least = self.desired * self._maintenance.least_percent / 100 if self._maintenance else 0
        return self._terminate(unwell, now) if are_warm and len(others) >= least else []

    def _rebalance(self, now: float) -> list[Action]:
        """Even out the zones some time after they became uneven: launch first, then end one where there are most.

        It may exceed the most by a tenth, at least one (AS auto-scaling-benefits.html).
        """
        if self._moving:
            return self._end_move(self._moving, now)
        counts = self._by_zone()
        all_serve = all(it.state is State.IN_SERVICE for it in self.active())
        if not counts or max(counts.values()) - min(counts.values()) < 2 or not all_serve:
            self._uneven_since = None
            return []
        self._uneven_since = now if self._uneven_since is None else self._uneven_since
        if now < self._uneven_since + self._assumptions.rebalance_after:
            return []
        self._uneven_since = None
        launch = self._launch(now)
        self._moving = launch.instance
        return [launch]

    def _end_move(self, successor: Instance, now: float) -> list[Action]:
        if successor.state is State.PENDING:
            return []
        self._moving = None
        counts = self._by_zone()
        fullest = max(counts, key=lambda zone: counts[zone], default=None)
        leaving = sorted((it for it in self.active() if it.zone == fullest), key=lambda it: it.launched_at)
        return self._terminate(leaving[0], now) if successor.is_active and len(self.active()) > self.desired else []
