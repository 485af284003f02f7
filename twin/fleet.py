"""One fleet at work: its group, alarms and balancer on an event loop, over whatever has the instances."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twin.alarms import Alarm, State
from twin.assumptions import Assumptions
from twin.balancer import Balancer
from twin.expressions import Points, compute
from twin.groups import Action, Group, Instance, Request, Size, TrackingPolicy
from twin.loop import Loop
from twin.metrics import MINUTE, Metric
from twin.templates import Fleet


@dataclass(frozen=True)
class QueueReading:
    """A queue at one moment; the age in seconds, None where nothing counts."""

    visible: int
    in_flight: int
    oldest_visible_seconds: float | None
    oldest_seconds: float | None


class Driver(Protocol):
    """Whatever has the instances: simulated ones, or processes.

    A `RunningFleet` calls it on the loop's thread, and it must not block there. It tells the fleet what happens
    to instances (`running`, `stopped`, `ended`) and what they ask of their group (`protect`, `heartbeat`,
    `complete`), on the loop's thread as well: from another one by `Loop.post`.
    """

    def connect(self, fleet: "RunningFleet") -> None:
        """Take note of whom to tell; called once, before anything else."""

    def launch(self, instance: Instance) -> None:
        """Start an instance; `running` is due when its machine runs, long before its service does."""

    def announce(self, instance: Instance) -> None:
        """Let its metadata say that it shall end; whoever is on it tells `heartbeat` and `complete`."""

    def end(self, instance: Instance) -> None:
        """End an instance, whatever it is doing; `ended` is due when it is gone."""

    def route(self, serving: Sequence[str]) -> None:
        """Send requests to these instances alone from now on; those under way go on."""

    def check(self, instance: str, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        """Ask an instance for its health and report whether it answered well in time."""

    def queue(self) -> QueueReading | None:
        """Return what is in the queue now, None where there is none."""

    def requests(self) -> int:
        """Return how many requests there have been since this was asked last."""

    def cpu_percent(self, instance: str) -> float:
        """Return how busy an instance's processors have been since this was asked last."""


@dataclass(frozen=True)
class Sample:
    """A fleet at the end of a minute; `in_service` by zone."""

    at_seconds: float
    visible: int
    in_flight: int
    requests: int
    desired: int
    in_service: dict[str, int]
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """Something that happened to a fleet."""

    at_seconds: float
    what: str
    instance: str = ""


@dataclass
class Record:
    """What a run leaves: every minute and every event."""

    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class RunningFleet:
    """A fleet of the templates, acting."""

    def __init__(
        self, fleet: Fleet, *, loop: Loop, driver: Driver, assumptions: Assumptions, generator: random.Random
    ) -> None:
        self.fleet, self.record = fleet, Record()
        self.balancer = Balancer(fleet.targets) if fleet.targets else None
        self.group = Group(
            name=fleet.name,
            size=fleet.size,
            zones=fleet.zones,
            hook=fleet.hook,
            maintenance=fleet.maintenance,
            warm_up_seconds=fleet.default_warm_up_seconds,
            has_targets=fleet.targets is not None,
            policies=fleet.policies,
            assumptions=assumptions,
        )
        self._loop, self._driver, self._assumptions, self._generator = loop, driver, assumptions, generator
        lags = {
            "GroupInServiceInstances": assumptions.group_lag,
            "CPUUtilization": assumptions.cpu_lag,
            "RequestCountPerTarget": assumptions.requests_lag,
        }
        self._alarms = [*fleet.alarms]
        for name, policy in fleet.policies.items():
            self._alarms += policy.alarms(name, assumptions) if isinstance(policy, TrackingPolicy) else []
        self._states = {alarm.name: State.INSUFFICIENT for alarm in self._alarms}
        names = {name for alarm in self._alarms for name in alarm.measure.metrics.values()}
        self._metrics = {name: Metric(lag_seconds=lags.get(name, assumptions.queue_lag)) for name in names}
        self._served: list[str] = []
        driver.connect(self)

    def start(self) -> None:
        """Launch the least, and look at everything in its turn from now on."""
        now, draw = self._loop.now(), self._generator.random
        self._loop.call_every(MINUTE, self._measure, first=now + MINUTE)
        self._loop.call_every(MINUTE, self._evaluate, first=now + MINUTE * (1 + draw()))
        every = self._assumptions.health_check_interval
        self._loop.call_every(every, self._look_after, first=now + every * draw())
        self._do(self.group.settle(now))

    # ---- what the driver tells

    def running(self, instance: str) -> None:
        """The machine runs."""
        self._note("in service", instance)
        self._do(self.group.running(instance, self._loop.now()))

    def works(self, instance: str) -> None:
        """Its service is ready, which the group does not know."""
        self._note("works", instance)

    def stopped(self, instance: str) -> None:
        """The machine has stopped or is gone, and the group did not ask for it."""
        self._note("stopped", instance)
        self._do(self.group.stopped(instance, self._loop.now()))

    def ended(self, instance: str) -> None:
        """The machine is gone, as the group asked."""
        self._note("ended", instance)
        self.group.ended(instance)
        if self.balancer:
            self.balancer.forget(instance)

    def protect(self, instance: str, *, is_protected: bool) -> None:
        """SetInstanceProtection."""
        if self.fleet.protects_busy:
            self._do(self.group.protect(instance, is_protected=is_protected, now=self._loop.now()))

    def heartbeat(self, instance: str) -> None:
        """RecordLifecycleActionHeartbeat."""
        self.group.heartbeat(instance, self._loop.now())

    def complete(self, instance: str) -> None:
        """CompleteLifecycleAction."""
        self._do(self.group.complete(instance, self._loop.now()))

    def drained(self, instance: str) -> None:
        """The balancer has let go of an instance that shall end."""
        self._do(self.group.drained(instance, self._loop.now()))

    def open_zones(self, *zones: str, is_open: bool) -> None:
        """Zones can take instances from now on, or not."""
        for zone in zones:
            self._note(f"{zone} {'opens' if is_open else 'fails'}")
        self._do(self.group.open_zones(*zones, is_open=is_open, now=self._loop.now()))

    # ---- what an operator asks

    def suspend(self, *processes: str) -> None:
        """SuspendProcesses."""
        self._note(f"leaves {', '.join(processes)}")
        self.group.suspend(*processes)

    def resume(self) -> None:
        """ResumeProcesses, all of them."""
        self._note("goes on with all processes")
        self._do(self.group.resume(self._loop.now()))

    def resize(self, size: Size, *, desired: int) -> None:
        """UpdateAutoScalingGroup."""
        self._note(f"size {size.least} to {size.most}, desired {self.group.desired} -> {desired}")
        self._do(self.group.resize(size, self._loop.now(), desired=desired))

    def alarming(self) -> list[str]:
        """Return the names of the alarms that are in ALARM."""
        return [name for name, state in self._states.items() if state is State.ALARM]

    # ---- what recurs

    def _measure(self) -> None:
        """Report the minute that ends now: GroupInServiceInstances leaves out who is pending or leaving.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
        """
        now = self._loop.now()
        queue, requests = self._driver.queue(), self._driver.requests()
        values = self._queue_values(queue) | {
            "GroupInServiceInstances": len(self.group.in_service()) if self.fleet.publishes_size else None,
            "CPUUtilization": self._cpu(now),
            "RequestCountPerTarget": self._per_target(requests),
        }
        for name, metric in self._metrics.items():
            metric.put(round(now / MINUTE) - 1, values[name])
        zones = dict.fromkeys(self.fleet.zones, 0)
        for instance in self.group.in_service():
            zones[instance.zone] += 1
        self.record.samples.append(
            Sample(
                now,
                queue.visible if queue else 0,
                queue.in_flight if queue else 0,
                requests,
                self.group.desired,
                zones,
                tuple(self.alarming()),
            )
        )

    def _queue_values(self, queue: QueueReading | None) -> dict[str, float | None]:
        """SQS reports what is visible for a queue that is used, 0 as well; in flight and age only where there is any.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        """
        if queue is None:
            return {}
        counts_all = self._assumptions.age_counts_in_flight
        return {
            "ApproximateNumberOfMessagesVisible": queue.visible,
            "ApproximateNumberOfMessagesNotVisible": queue.in_flight or None,
            "ApproximateAgeOfOldestMessage": queue.oldest_seconds if counts_all else queue.oldest_visible_seconds,
        }

    def _cpu(self, now: float) -> float | None:
        """The group's average leaves out instances in their warm-up.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-default-instance-warmup.html
        """
        all_ = [(it, self._driver.cpu_percent(it.id)) for it in self.group.in_service()]
        warm = [percent for it, percent in all_ if it.is_warm(now, self.fleet.default_warm_up_seconds)]
        return sum(warm) / len(warm) if warm else None

    def _per_target(self, requests: int) -> float | None:
        """RequestCountPerTarget: what came, divided by the healthy targets; nothing came: 0, or as assumed no point.

        https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
        """
        if self.balancer is None or (requests == 0 and not self._assumptions.silence_is_zero_requests):
            return None
        return requests / max(1, len(self.balancer.healthy()))

    def _evaluate(self) -> None:
        """Look at every alarm once a minute; one that is in ALARM acts each time, not only when it gets there.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
        """
        requests = []
        for alarm in self._alarms:
            points = self._points(alarm)
            before = self._states[alarm.name]
            state = self._states[alarm.name] = alarm.evaluate(points, before)
            if state is not before:
                self._note(f"{alarm.name} {state}")
            if state is State.ALARM and self._generator.random() >= self._assumptions.lost_requests:
                requests.append(Request(alarm, self._value(alarm, points)))
        if requests:
            self._loop.call_later(self._assumptions.alarm_to_policy, lambda: self._scale(requests))

    def _points(self, alarm: Alarm) -> Points:
        now, periods = self._loop.now(), alarm.periods + self._assumptions.extra_periods
        windows = {id_: self._metrics[name].window(now, periods) for id_, name in alarm.measure.metrics.items()}
        return compute(alarm.measure.expression, windows, self._assumptions)

    def _value(self, alarm: Alarm, points: Points) -> float:
        real = [point for point in points if point is not None]
        if not real:
            return alarm.threshold
        breach = real[-alarm.periods :] if self._assumptions.tracks_mean_of_breach else real[-1:]
        return sum(breach) / len(breach)

    def _scale(self, requests: Sequence[Request]) -> None:
        before = self.group.desired
        done = self.group.scale(requests, self._loop.now(), agree=self._others_agree)
        if self.group.desired != before:
            self._note(f"desired {before} -> {self.group.desired} by {', '.join(it.alarm.policy for it in requests)}")
        self._do(done)

    def _others_agree(self, policy: str) -> bool:
        """Several tracking policies shrink a group only together, without those whose scale-in is disabled.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
        """
        low = [it for it in self._alarms if it.name.endswith("-AlarmLow") and it.policy != policy]
        return all(self._states[alarm.name] is State.ALARM for alarm in low)

    def _look_after(self) -> None:
        now = self._loop.now()
        if self.balancer and self.fleet.heeds_balancer:
            self._do(self.group.unwell(self._unwell(now), now))
        self._do(self.group.settle(now))

    def _unwell(self, now: float) -> list[str]:
        """Return whom the balancer finds unhealthy after the grace period, which begins in service.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/health-check-grace-period.html
        """
        graced = [it for it in self.group.in_service() if now >= it.in_service_at + self.fleet.grace_seconds]
        return [it.id for it in graced if self.balancer and self.balancer.health(it.id) != "healthy"]

    def _check(self, instance: str) -> None:
        if self.balancer is None or self.balancer.health(instance) in {None, "draining"}:
            return
        made_of = self.balancer.made_of
        self._loop.call_later(made_of.interval_seconds, lambda: self._check(instance))
        self._driver.check(instance, made_of.timeout_seconds, lambda passed: self._checked(instance, passed))

    def _checked(self, instance: str, passed: bool) -> None:
        if self.balancer:
            self.balancer.checked(instance, passed=passed)
            self._route()

    # ---- what the group does

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._note(action.does, action.instance.id)
            getattr(self, f"_{action.does}")(action.instance)

    def _launch(self, instance: Instance) -> None:
        self._driver.launch(instance)

    def _register(self, instance: Instance) -> None:
        if self.balancer:
            self.balancer.register(instance.id)
            first = self.balancer.made_of.interval_seconds * self._generator.random()
            self._loop.call_later(self._assumptions.registration + first, lambda: self._check(instance.id))
            self._route()

    def _deregister(self, instance: Instance) -> None:
        """An instance may end its requests until `deregistration_delay` has passed."""
        if self.balancer:
            self.balancer.drain(instance.id)
            self._route()
            seconds = 0 if self._assumptions.drains_idle_at_once else self.balancer.made_of.draining_seconds
            self._loop.call_later(seconds, lambda: self.drained(instance.id))

    def _announce(self, instance: Instance) -> None:
        """An instance reads of its end in its metadata (autoscaling/target-lifecycle-state).

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
        """
        if not instance.is_dead:
            self._loop.call_later(self._assumptions.target_state_delay, lambda: self._driver.announce(instance))

    def _end(self, instance: Instance) -> None:
        self._driver.end(instance)

    def _route(self) -> None:
        serving = self.balancer.serving() if self.balancer else []
        if serving != self._served:
            self._served = serving
            self._driver.route(serving)

    def _note(self, what: str, instance: str = "") -> None:
        self.record.events.append(Event(self._loop.now(), what, instance))
