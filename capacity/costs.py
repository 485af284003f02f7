"""What the system costs: by being there, by what it is used for, and what a thousand videos cost in each way."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from capacity.credits import TYPES, hourly_price
from capacity.inventory import Inventory

PRICES = Path(__file__).resolve().parents[1] / "capacity-planning" / "prices.toml"
OUTPUT_SECONDS = 35  # of a processed video; anb_worker.encoding.MAX_SECONDS
FARGATE_VCPUS, FARGATE_GB = 2, 4
_LOAD_UNIT_GB_HOUR = 1  # what one unit of the balancer's capacity carries


class UnknownPrice(Exception):
    """The file of prices lacks one; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Public prices in US dollars, with what is assumed beside them."""

    region: str
    hours_per_month: float
    instance_hours: Mapping[str, float]
    database_hours: Mapping[str, float]
    units: Mapping[str, float]
    assumptions: Mapping[str, Any]
    usage: Mapping[str, float]
    sources: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path = PRICES) -> Self:
        """Return the prices of a file; raises UnknownPrice for one that names no source."""
        found = tomllib.loads(path.read_text())
        for name, price in found["units"].items():
            if price["source"] not in found["sources"]:
                raise UnknownPrice(f"{path.name}: {name} names the source {price['source']}, which is not there")
        return cls(
            region=found["region"],
            hours_per_month=found["hours_per_month"],
            instance_hours=_without_source(found["instance_hours"]),
            database_hours=_without_source(found["database_hours"]),
            units={name: price["usd"] for name, price in found["units"].items()},
            assumptions=found["assumptions"],
            usage=found["usage"],
            sources=found["sources"],
        )

    def instance_hour(self, type_: str) -> float:
        """Return what an hour of an instance costs; raises UnknownPrice."""
        return _known(self.instance_hours, type_)

    def database_hour(self, class_: str, *, multi_az: bool) -> float:
        """Return what an hour of a database costs; raises UnknownPrice."""
        return _known(self.database_hours, class_) * (2 if multi_az else 1)

    def speed(self, name: str) -> float:
        """Return how fast a type or service is against the machine of the measurements; raises UnknownPrice."""
        return _known(self.assumptions["speed"], name.partition(".")[0])


def _without_source(prices: Mapping[str, Any]) -> dict[str, float]:
    return {name: price for name, price in prices.items() if name != "source"}


def _known(prices: Mapping[str, float], name: str) -> float:
    if name not in prices:
        raise UnknownPrice(f"there is no price or speed of {name} in {PRICES.name}: add it, with its source")
    return prices[name]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a month's bill, in US dollars."""

    what: str
    quantity: float
    unit: str
    usd: float


def standing(
    inventory: Inventory, instances: Mapping[str, float], prices: Prices, *, database_share: float = 1
) -> Iterator[Line]:
    """Yield what a month costs with so many instances in each stack's fleet, whatever they do.

    The database runs for that share of the time; its storage is paid for while it is stopped, too.
    """
    hours = prices.hours_per_month

    def line(what: str, quantity: float, unit: str, price: float) -> Line:
        return Line(what=what, quantity=quantity, unit=unit, usd=quantity * price)

    fleets = [
        *((group, instances[group.stack]) for group in inventory.groups),
        *((it, 1.0) for it in inventory.single),
    ]
    for group, count in fleets:
        price = prices.instance_hour(group.instance_type)
        yield line(f"{group.stack} {group.instance_type}", count * hours, "h", price)
        yield line(f"{group.stack} volumes", count * group.volume_gib, "GiB", prices.units["volume_gib_month"])
        if group.has_addresses:
            yield line(f"{group.stack} addresses", count * hours, "h", prices.units["address_hour"])
    if database := inventory.database:
        price = prices.database_hour(database.instance_class, multi_az=database.multi_az)
        yield line(f"database {database.instance_class}", database_share * hours, "h", price)
        stored = database.storage_gib * (2 if database.multi_az else 1)
        yield line("database storage", stored, "GiB", prices.units["database_gib_month"])
    yield line("load balancer", inventory.balancers * hours, "h", prices.units["balancer_hour"])
    yield line("load balancer addresses", inventory.balancer_addresses * hours, "h", prices.units["address_hour"])
    # Each has an address of its own
    nat = prices.units["nat_hour"] + prices.units["address_hour"]
    yield line("NAT gateways", inventory.nat_gateways * hours, "h", nat)
    yield line("secrets", inventory.secrets, "", prices.units["secret_month"])
    yield line("alarms", inventory.alarms, "", prices.units["alarm_month"])
    yield line("dashboards", inventory.dashboards, "", prices.units["dashboard_month"])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a worker's machine: videos a minute with all processors busy, and a clip's size."""

    videos_per_minute: float
    output_megabytes: float

    @classmethod
    def of(cls, workers: Mapping[str, Any]) -> Self:
        """Return it from the results of scenario 2: the cell with most throughput, and the clips of the pipelines."""
        best = workers["cells"][workers["totals"]["best"]["name"]]
        clips = workers["pipelines"].values()
        return cls(
            videos_per_minute=best["saturation"]["videos_per_minute"],
            output_megabytes=sum(clip["worker"]["megabytes"] for clip in clips) / len(clips),
        )


def videos_per_hour(type_: str, measured: Measured, prices: Prices) -> float:
    """Return what an instance does at full speed, by what is assumed of its processors."""
    return 60 * measured.videos_per_minute * prices.speed(type_)


def used(
    inventory: Inventory, videos: float, measured: Measured, prices: Prices, *, workers: float
) -> Iterator[Line]:
    """Yield what so many videos a month add, processed by so many instances of the workers' type on average."""
    usage, units = prices.usage, prices.units

    def line(what: str, quantity: float, unit: str, price: float) -> Line:
        return Line(what=what, quantity=quantity, unit=unit, usd=quantity * price)

    worker = next(group for group in inventory.groups if group.stack.endswith("Worker"))
    surplus = surplus_vcpu_hours(worker.instance_type, videos, measured, prices, workers=workers)
    yield line("workers' surplus credits", surplus, "vCPU h", _surplus_price(worker.instance_type, prices))
    source_gb = videos * usage["source_megabytes"] / 1000
    output_gb = videos * measured.output_megabytes / 1000
    yield line("originals", source_gb * usage["source_days"] / 30, "GB", units["storage_gb_month"])
    yield line("clips", output_gb, "GB", units["storage_gb_month"])
    yield line("S3 writes", videos * usage["puts_per_video"] / 1000, "thousand", units["put_thousand"])
    yield line("S3 reads", videos * usage["gets_per_video"] / 1000, "thousand", units["get_thousand"])
    yield line("queue", videos * usage["queue_requests_per_video"] / 1e6, "million", units["queue_million"])
    yield line("logs", videos * usage["log_kilobytes_per_video"] / 1e6, "GB", units["log_gb"])
    price = units["distribution_gb"] if inventory.is_distributed else units["internet_gb"]
    yield line("clips watched", output_gb * usage["views_per_video"], "GB", price)


def surplus_vcpu_hours(type_: str, videos: float, measured: Measured, prices: Prices, *, workers: float) -> float:
    """Return what instances spend beyond what they earn in a month; 0 for types that have no credits."""
    if type_ not in TYPES:
        return 0.0
    burstable = TYPES[type_]
    busy_hours = videos / videos_per_hour(type_, measured, prices)
    earned = workers * prices.hours_per_month * burstable.credits_per_hour / 60
    return max(0.0, busy_hours * burstable.vcpus - earned)


def _surplus_price(type_: str, prices: Prices) -> float:
    return prices.units["surplus_vcpu_hour_arm" if type_.startswith("t4g") else "surplus_vcpu_hour"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """A way to process videos, at full load."""

    name: str
    usd_per_hour: float | None
    videos_per_hour: float | None
    usd_per_thousand: float


def options(measured: Measured, prices: Prices) -> list[Option]:
    """Return what a thousand videos cost in each way to process them, the cheapest first."""
    spot = prices.assumptions["spot_share"]
    found = [
        _throttled("t3.small", measured, prices),
        *(_unlimited(type_, measured, prices) for type_ in ("t3.small", "t4g.small")),
        *(_fixed(type_, measured, prices) for type_ in ("c6a.large", "c7i-flex.large", "c7g.large")),
        *(_fixed(type_, measured, prices, share=spot) for type_ in ("c7i-flex.large", "c7g.large")),
        _fargate(measured, prices, arm=False),
        _fargate(measured, prices, arm=True),
        Option(
            name="MediaConvert",
            usd_per_hour=None,
            videos_per_hour=None,
            usd_per_thousand=1000 * OUTPUT_SECONDS / 60 * prices.units["mediaconvert_minute"],
        ),
    ]
    return sorted(found, key=lambda option: option.usd_per_thousand)


def _option(name: str, *, usd_per_hour: float, rate: float) -> Option:
    return Option(
        name=name, usd_per_hour=usd_per_hour, videos_per_hour=rate, usd_per_thousand=1000 * usd_per_hour / rate
    )


def _unlimited(type_: str, measured: Measured, prices: Prices) -> Option:
    price = hourly_price(
        TYPES[type_],
        hour=prices.instance_hour(type_),
        utilisation=1,
        surplus_vcpu_hour=_surplus_price(type_, prices),
    )
    return _option(f"{type_} unlimited", usd_per_hour=price, rate=videos_per_hour(type_, measured, prices))


def _throttled(type_: str, measured: Measured, prices: Prices) -> Option:
    rate = TYPES[type_].baseline * videos_per_hour(type_, measured, prices)
    return _option(f"{type_} standard", usd_per_hour=prices.instance_hour(type_), rate=rate)


def _fixed(type_: str, measured: Measured, prices: Prices, *, share: float = 1) -> Option:
    name = type_ if share == 1 else f"{type_} spot"
    rate = videos_per_hour(type_, measured, prices)
    return _option(name, usd_per_hour=share * prices.instance_hour(type_), rate=rate)


def _fargate(measured: Measured, prices: Prices, *, arm: bool) -> Option:
    name = "fargate_arm" if arm else "fargate"
    hour = FARGATE_VCPUS * prices.units[f"{name}_vcpu_hour"] + FARGATE_GB * prices.units[f"{name}_gb_hour"]
    shown = f"Fargate {'ARM' if arm else 'x86'}"
    return _option(shown, usd_per_hour=hour, rate=videos_per_hour(name, measured, prices))
