"""CPU credits of burstable instances: what they earn, what they may spend, and what they are charged for.

One credit is a virtual processor at full speed for a minute.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-credits-baseline-concepts.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/unlimited-mode-examples.html
"""

from dataclasses import dataclass

_MINUTES = 60
_EARNED_HOURS = 24  # so many hours' credits are kept, and may be owed


@dataclass(frozen=True, kw_only=True)
class Burstable:
    """A type of instance."""

    vcpus: int
    credits_per_hour: float

    @property
    def baseline(self) -> float:
        """The share of its processors that it earns as fast as it spends."""
        return self.credits_per_hour / _MINUTES / self.vcpus

    @property
    def most_credits(self) -> float:
        """What it keeps at most, and what it may owe before it is charged."""
        return _EARNED_HOURS * self.credits_per_hour


TYPES = {
    "t3.nano": Burstable(vcpus=2, credits_per_hour=6),
    "t3.micro": Burstable(vcpus=2, credits_per_hour=12),
    "t3.small": Burstable(vcpus=2, credits_per_hour=24),
    "t3.medium": Burstable(vcpus=2, credits_per_hour=24),
    "t3.large": Burstable(vcpus=2, credits_per_hour=36),
    "t3.xlarge": Burstable(vcpus=4, credits_per_hour=96),
    "t3.2xlarge": Burstable(vcpus=8, credits_per_hour=192),
    "t4g.small": Burstable(vcpus=2, credits_per_hour=24),
}


@dataclass
class CreditAccount:
    """An instance's credits since its launch, with which T3 and T4g get none."""

    type: Burstable
    is_unlimited: bool = True
    balance: float = 0
    surplus: float = 0
    charged: float = 0

    def run(self, *, hours: float, utilisation: float) -> float:
        """Use a share of all processors for some hours; return the share that the instance got on average.

        A standard instance without credits gets its baseline alone; an unlimited one owes, and is charged for what
        it owes beyond a day's credits.
        """
        net = (self.type.baseline - utilisation) * self.type.vcpus * _MINUTES * hours
        if net >= 0:
            paid_back = min(self.surplus, net)
            self.surplus -= paid_back
            self.balance = min(self.type.most_credits, self.balance + net - paid_back)
            return utilisation
        spent = min(self.balance, -net)
        self.balance -= spent
        missing = -net - spent
        if not self.is_unlimited:
            return utilisation - missing / (self.type.vcpus * _MINUTES * hours)
        owed = self.surplus + missing
        self.surplus = min(self.type.most_credits, owed)
        self.charged += owed - self.surplus
        return utilisation

    def end(self) -> None:
        """Stop or terminate the instance, which charges all that it owes."""
        self.charged += self.surplus
        self.surplus = 0

    @property
    def charged_vcpu_hours(self) -> float:
        """What is on the bill, in the unit that has the price."""
        return self.charged / _MINUTES


def break_even(type_: Burstable, *, hour: float, other_hour: float, surplus_vcpu_hour: float) -> float:
    """Return the mean utilisation from which an unlimited instance costs more than another at a fixed price."""
    return type_.baseline + (other_hour - hour) / (surplus_vcpu_hour * type_.vcpus)


def hourly_price(type_: Burstable, *, hour: float, utilisation: float, surplus_vcpu_hour: float) -> float:
    """Return what an hour of an unlimited instance costs in the long run at that utilisation."""
    return hour + max(0.0, utilisation - type_.baseline) * type_.vcpus * surplus_vcpu_hour
