"""What a load balancer thinks of its targets, and who gets requests."""

from dataclasses import dataclass, field
from enum import StrEnum

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html


@dataclass(frozen=True, kw_only=True)
class Targets:
    """How a target group checks its targets, and for how long one that leaves may end its requests."""

    interval_seconds: int
    timeout_seconds: int
    healthy_after: int
    unhealthy_after: int
    draining_seconds: int


class Health(StrEnum):
    """What the balancer says of a target."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


@dataclass
class _Target:
    health: Health = Health.INITIAL
    passed: int = 0
    failed: int = 0


@dataclass
class Balancer:
    """The targets of one group. Nothing here waits: whoever checks a target tells the outcome."""

    made_of: Targets
    _targets: dict[str, _Target] = field(default_factory=dict)

    def register(self, target: str) -> None:
        """Take a target in, of which nothing is known yet."""
        self._targets[target] = _Target()

    def drain(self, target: str) -> None:
        """Send a target no new request, while it ends those that it has.

        For at most `deregistration_delay` seconds, after which what is left is cut and answered with 502
        (elasticloadbalancing/latest/application/load-balancer-target-groups.html).
        """
        if target in self._targets:
            self._targets[target].health = Health.DRAINING

    def forget(self, target: str) -> None:
        """Drop a target that has gone."""
        self._targets.pop(target, None)

    def checked(self, target: str, *, passed: bool) -> None:
        """Take note of a health check's outcome.

        One pass makes a new target healthy; back from unhealthy it takes `healthy_after` in a row (2 to 10), out of
        service `unhealthy_after` failures in a row (target-group-health-checks.html). A check fails when it takes
        longer than its time-out, which does not shift the next one.
        """
        it = self._targets.get(target)
        if it is None or it.health is Health.DRAINING:
            return
        it.passed, it.failed = (it.passed + 1, 0) if passed else (0, it.failed + 1)
        needed = 1 if it.health is Health.INITIAL else self.made_of.healthy_after
        if it.passed >= needed:
            it.health = Health.HEALTHY
        elif it.failed >= self.made_of.unhealthy_after:
            it.health = Health.UNHEALTHY

    def health(self, target: str) -> Health | None:
        """Return what the balancer says of the target, None of one that is not registered."""
        return self._targets[target].health if target in self._targets else None

    def registered(self) -> list[str]:
        """Return the targets that are checked."""
        return [name for name, it in self._targets.items() if it.health is not Health.DRAINING]

    def healthy(self) -> list[str]:
        """Return the targets that are healthy."""
        return [name for name, it in self._targets.items() if it.health is Health.HEALTHY]

    def serving(self) -> list[str]:
        """Return who gets requests, in turn: the healthy, or all that are registered while none is.

        So "fail open" works with a minimum of one healthy target, the default
        (elasticloadbalancing/latest/application/target-group-health.html). Without any a client gets 503.
        """
        return self.healthy() or self.registered()
