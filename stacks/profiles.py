"""The two kinds of account that we deploy to. What differs between them is a field, never an `if` on a name.

Whatever a person overrides is refused, before anything is created, with a sentence that says what is allowed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stacks import cloudfront, connections
from stacks.instance_types import least_memory_mib, vcpus
from stacks.names import Names

LAB_REGIONS = ("us-east-1", "us-west-2")
LAB_SIZES = ("nano", "micro", "small", "medium", "large")
LAB_DATABASE_SIZES = ("nano", "micro", "small", "medium")
LAB_LARGEST_VOLUME_GIB = 100
LAB_MAX_FLEET = 3  # "hasta 3 servidores web, hasta 3 servidores workers"
MAX_FLEET = 99  # two digits; the database's connections, which are counted, set the real limit
SYSTEM_MIB = 348  # what kernel, agents and what boots an instance need of its memory
NGINX_MIB = 300
MIN_WORKER_MIB = 600  # the dearest clip takes 500
MIN_WEB_MIB = 350
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, without the dots that break TLS
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_BUCKET_ALLOWED = "3 to 63 lower-case letters, digits and hyphens"


class ProfileError(Exception):
    """A value that nobody can deploy with; the message is one sentence that says what is allowed."""


def _require(key: str, value: object, allowed: str, kept: bool) -> None:
    if not kept:
        raise ProfileError(f"{key} must be {allowed}, not {str(value)!r}.")


@dataclass(frozen=True, kw_only=True)
class FleetSize:
    """Between how many and how many instances a group keeps."""

    at_least: int
    at_most: int

    @property
    def can_scale(self) -> bool:
        """Whether there is anything to scale; no target is tracked by a group of one size."""
        return self.at_least < self.at_most

    def __str__(self) -> str:
        """Return it as a setting says it."""
        return f"{self.at_least}-{self.at_most}"


NONE = FleetSize(at_least=0, at_most=0)


@dataclass(frozen=True, kw_only=True)
class DatabaseShape:
    """What the database runs on and how it is kept."""

    instance_class: str
    storage_type: str
    storage_gib: int
    multi_az: bool
    backup_days: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """An account's rules and the choices of whoever deploys to it.

    `borrowed_role` and `borrowed_instance_profile` are used where no role may be created; without them each fleet
    gets a role of its own. `asset_bucket` is where the CLI uploads with its own credentials; without it the
    account has been bootstrapped with roles. `keeps_data` protects whatever cannot be made again. `cloudfront` puts
    CloudFront in front, and the load balancer where nobody else reaches it.
    """

    name: str
    region: str
    owner: str
    web: FleetSize
    workers: FleetSize
    instance_type: str
    database: DatabaseShape
    borrowed_role: str | None
    borrowed_instance_profile: str | None
    asset_bucket: str | None
    private_fleets: bool
    keeps_data: bool
    log_days: int
    lab_limits: bool
    offers_budgets: bool
    cloudfront: bool
    prefix: str = "Anb"
    worker_processes: int | None = None
    flow_logs: bool = True
    firewall: bool = False
    load: bool = False
    upload_limits: bool = True
    certificate_arn: str | None = None
    domain_name: str | None = None
    cors_origins: str = ""
    media_bucket: str | None = None
    database_snapshot: str | None = None
    alarm_mail: str | None = None
    budget_mail: str | None = None
    budget_usd: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the fields say only together."""
        if self.lab_limits:
            _require("region", self.region, "us-east-1 or us-west-2", self.region in LAB_REGIONS)
            size = self.instance_type.rpartition(".")[2]
            _require("instanceType", self.instance_type, "an x86 type of size nano to large", size in LAB_SIZES)
            size = self.database.instance_class.rpartition(".")[2]
            allowed = "a class of size nano to medium, such as db.t3.micro"
            _require("databaseClass", self.database.instance_class, allowed, size in LAB_DATABASE_SIZES)
            gib = self.database.storage_gib
            _require("databaseGiB", gib, "a number from 20 to 100", gib <= LAB_LARGEST_VOLUME_GIB)
        self._check_fleets()
        self._check_entrance()
        self._check_budget()
        if self.asset_bucket is None:
            return
        plain = self.asset_bucket.replace("${AWS::AccountId}", "0" * 12).replace("${AWS::Region}", self.region)
        _require("assetBucket", self.asset_bucket, _BUCKET_ALLOWED, bool(_BUCKET.fullmatch(plain)))

    def _check_fleets(self) -> None:
        most = LAB_MAX_FLEET if self.lab_limits else MAX_FLEET
        allowed = f"the least and the most instances, such as 1-3, both from 1 to {most}"
        for key, size, may_be_none in (("web", self.web, False), ("workers", self.workers, True)):
            kept = 1 <= size.at_least <= size.at_most <= most or (may_be_none and size == NONE)
            _require(key, size, f"{allowed}, or {NONE} for none" if may_be_none else allowed, kept)

    def _check_budget(self) -> None:
        for key, value in (("budgetMail", self.budget_mail), ("budgetUsd", self.budget_usd)):
            if value and not self.offers_budgets:
                raise ProfileError(
                    f"{key} is for the production profile alone: a lab account does not offer AWS Budgets."
                )
        if self.budget_usd and not self.budget_mail:
            raise ProfileError("budgetUsd does nothing without budgetMail, the address that is warned: give both.")

    def _check_entrance(self) -> None:
        region = cloudfront.HOME_REGION if self.cloudfront else self.region
        if self.cloudfront:
            allowed = f"where CloudFront reaches into a VPC: {', '.join(cloudfront.PREFIX_LISTS)}"
            _require("region", self.region, allowed, self.region in cloudfront.PREFIX_LISTS)
        if self.certificate_arn:
            allowed = f"the ARN of an ACM certificate in {region}"
            _require("certificateArn", self.certificate_arn, allowed, f":{region}:" in self.certificate_arn)
        if self.domain_name and not self.cloudfront:
            raise ProfileError("domainName is for the production profile alone: a lab's site has no name of its own.")
        if self.firewall and self.cloudfront and self.region != cloudfront.HOME_REGION:
            raise ProfileError(
                f"firewall is for {cloudfront.HOME_REGION} alone, where CloudFront's access lists are: a stack of "
                f"{self.region} cannot make one there."
            )

    def check_domain(self) -> None:
        """Raise ProfileError for half of a domain."""
        if self.cloudfront and bool(self.certificate_arn) != bool(self.domain_name):
            raise ProfileError(
                "certificateArn and domainName belong together: a certificate, and the site's name that it is for."
            )

    @property
    def names(self) -> Names:
        """What its stacks are called, and what is found by its name."""
        return Names(self.prefix)

    @property
    def processes_per_worker(self) -> int:
        """How many workers run on an instance: one for each vCPU, unless somebody has chosen."""
        return self.worker_processes or vcpus(self.instance_type) or 1

    @property
    def worker_process_mib(self) -> int:
        """How much memory each of them gets."""
        return (least_memory_mib(self.instance_type) - SYSTEM_MIB) // self.processes_per_worker

    @property
    def web_mib(self) -> int:
        """How much memory the API gets."""
        return least_memory_mib(self.instance_type) - SYSTEM_MIB - NGINX_MIB

    @property
    def connections_needed(self) -> int:
        """How many database connections the fleets open at most."""
        return connections.needed(
            web=self.web.at_most, workers=self.workers.at_most, processes=self.processes_per_worker
        )

    def check_fit(self) -> None:
        """Raise ProfileError for more workers than the instance has memory for, or the database connections."""
        type_, count = self.instance_type, self.processes_per_worker
        known = self.worker_processes is not None or vcpus(type_) is not None
        _require("instanceType", type_, "of a size that tells its vCPUs, or workerProcesses be set", known)
        fitting = (least_memory_mib(type_) - SYSTEM_MIB) // MIN_WORKER_MIB
        allowed = f"a type with memory for a worker ({SYSTEM_MIB} + {MIN_WORKER_MIB} MiB)"
        _require("instanceType", type_, allowed, fitting >= 1 and self.web_mib >= MIN_WEB_MIB)
        allowed = f"at most {fitting} on a {type_}, {MIN_WORKER_MIB} MiB for each"
        _require("workerProcesses", count, allowed, count <= fitting)
        self._check_connections()

    def _check_connections(self) -> None:
        needed, given = self.connections_needed, connections.given(self.database.instance_class)
        if needed <= given:
            return
        larger = connections.smallest_class(needed)
        way = f"databaseClass must be {larger}, or another with as many connections" if larger else "Choose less"
        raise ProfileError(
            f"{way}: web={self.web} and workers={self.workers} with workerProcesses={self.processes_per_worker} open "
            f"up to {needed}, of which a {self.database.instance_class} has {given} to give."
        )


ACADEMY = Profile(
    name="academy",
    region="us-east-1",
    owner="anb",
    web=FleetSize(at_least=2, at_most=3),
    workers=FleetSize(at_least=1, at_most=3),
    instance_type="t3.small",
    database=DatabaseShape(
        instance_class="db.t3.micro", storage_type="gp2", storage_gib=20, multi_az=False, backup_days=1
    ),
    borrowed_role="LabRole",
    borrowed_instance_profile="LabInstanceProfile",
    asset_bucket=Names("Anb").asset_bucket,
    private_fleets=False,
    keeps_data=False,
    log_days=7,
    lab_limits=True,
    offers_budgets=False,
    cloudfront=False,
)

PRODUCTION = Profile(
    name="production",
    region="us-east-1",
    owner="anb",
    web=FleetSize(at_least=2, at_most=3),
    workers=FleetSize(at_least=1, at_most=3),
    instance_type="t3.small",
    database=DatabaseShape(
        instance_class="db.t3.small", storage_type="gp3", storage_gib=20, multi_az=True, backup_days=14
    ),
    borrowed_role=None,
    borrowed_instance_profile=None,
    asset_bucket=None,
    private_fleets=True,
    keeps_data=True,
    log_days=90,
    lab_limits=False,
    offers_budgets=True,
    cloudfront=True,
)

PROFILES = {profile.name: profile for profile in (ACADEMY, PRODUCTION)}


def choose(name: str, overrides: Mapping[str, Any]) -> Profile:
    """Return the profile of that name with the overrides in place; raise ProfileError for what is not allowed."""
    if name not in PROFILES:
        raise ProfileError(f"profile must be {' or '.join(PROFILES)}, not {name!r}.")
    profile = PROFILES[name]
    for key in overrides:
        if key not in OVERRIDES:
            raise ProfileError(f"{key} is not a setting; the settings are profile, {', '.join(OVERRIDES)}.")
    # In our order, not in that of the command line: a certificate is of the region, a sum is of the budget
    for key, override in OVERRIDES.items():
        if key in overrides:
            profile = override.apply(profile, key, str(overrides[key]))
    profile.check_fit()
    profile.check_domain()
    return profile


@dataclass(frozen=True, kw_only=True)
class Override:
    """One thing that may be chosen at synthesis: `pattern` is what a value looks like, `allowed` says it in words."""

    allowed: str
    pattern: re.Pattern[str]
    put: Callable[[Profile, str], Profile]

    def apply(self, profile: Profile, key: str, value: str) -> Profile:
        """Return the profile with the value in place; raise ProfileError for one that is not allowed."""
        _require(key, value, self.allowed, bool(self.pattern.fullmatch(value)))
        return self.put(profile, value)


def _size(value: str) -> FleetSize:
    least, _, most = value.partition("-")
    return FleetSize(at_least=int(least), at_most=int(most))


def _field(name: str, convert: Callable[[str], Any] = str) -> Callable[[Profile, str], Profile]:
    return lambda profile, value: replace(profile, **{name: convert(value)})


def _database(name: str, convert: Callable[[str], Any] = str) -> Callable[[Profile, str], Profile]:
    return lambda profile, value: replace(profile, database=replace(profile.database, **{name: convert(value)}))


def _prefixed(profile: Profile, prefix: str) -> Profile:
    asset_bucket = profile.asset_bucket and Names(prefix).asset_bucket
    return replace(profile, prefix=prefix, asset_bucket=asset_bucket)


def _is_true(value: str) -> bool:
    return value == "true"


# As browsers write it; the API itself refuses what this lets through
_ORIGIN = r"https?://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?"
_FLAG = re.compile("true|false")
_MAIL = re.compile(r"(?=.{6,254}$)[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")
_SIZE = re.compile(r"\d{1,2}-\d{1,2}")
_SIZE_ALLOWED = "the least and the most instances, such as 1-3"

OVERRIDES: dict[str, Override] = {
    "region": Override(
        allowed="an AWS region such as us-east-1",
        pattern=re.compile(r"[a-z]{2}(-[a-z]+)+-\d"),
        put=_field("region"),
    ),
    "prefix": Override(
        allowed="a capital letter and 1 to 11 small letters or digits, such as Test, for the names of all stacks",
        pattern=re.compile(r"(?!Cdk|Aws)[A-Z][a-z0-9]{1,11}"),
        put=_prefixed,
    ),
    "owner": Override(
        allowed="1 to 64 letters, digits, spaces or . _ @ - for the owner tag",
        pattern=re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}"),
        put=_field("owner"),
    ),
    "instanceType": Override(
        allowed="an x86 instance type such as t3.small",
        # The wheels and ffmpeg are built for x86_64: a1 and every family with a g after its digit are ARM
        pattern=re.compile(r"(?!a1\.)[a-z]+\d+(?!g)[a-z-]*\.[a-z0-9]+"),
        put=_field("instance_type"),
    ),
    "web": Override(allowed=_SIZE_ALLOWED, pattern=_SIZE, put=_field("web", _size)),
    "workers": Override(allowed=_SIZE_ALLOWED, pattern=_SIZE, put=_field("workers", _size)),
    "workerProcesses": Override(
        allowed="how many videos an instance works on at once, from 1 to 64",
        pattern=re.compile("[1-9]|[1-5][0-9]|6[0-4]"),
        put=_field("worker_processes", int),
    ),
    "databaseClass": Override(
        allowed="an RDS class such as db.t3.micro",
        pattern=re.compile(r"db\.[a-z]+\d+[a-z]*\.[a-z0-9]+"),
        put=_database("instance_class"),
    ),
    "databaseGiB": Override(
        allowed="a number from 20 to 999",
        pattern=re.compile("[2-9][0-9]|[1-9][0-9]{2}"),
        put=_database("storage_gib", int),
    ),
    "databaseSnapshot": Override(
        allowed="the name or ARN of an RDS snapshot",
        pattern=re.compile(r"(arn:aws:rds:[a-z0-9-]+:\d{12}:snapshot:)?(rds:)?[A-Za-z](-?[A-Za-z0-9])*"),
        put=_field("database_snapshot"),
    ),
    "mediaBucket": Override(allowed=_BUCKET_ALLOWED, pattern=_BUCKET, put=_field("media_bucket")),
    "assetBucket": Override(allowed=_BUCKET_ALLOWED, pattern=_BUCKET, put=_field("asset_bucket")),
    "certificateArn": Override(
        allowed="the ARN of an ACM certificate",
        pattern=re.compile(r"arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]+"),
        put=_field("certificate_arn"),
    ),
    "domainName": Override(
        allowed="a host's name such as anb.example.org",
        pattern=re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"),
        put=_field("domain_name"),
    ),
    "corsOrigins": Override(
        allowed="origins such as https://app.example.org, with commas between them",
        pattern=re.compile(f"{_ORIGIN}(,{_ORIGIN})*"),
        put=_field("cors_origins"),
    ),
    "firewall": Override(allowed="true or false", pattern=_FLAG, put=_field("firewall", _is_true)),
    "flowLogs": Override(allowed="true or false", pattern=_FLAG, put=_field("flow_logs", _is_true)),
    "load": Override(allowed="true or false", pattern=_FLAG, put=_field("load", _is_true)),
    "uploadLimits": Override(allowed="true or false", pattern=_FLAG, put=_field("upload_limits", _is_true)),
    "alarmMail": Override(allowed="one mail address", pattern=_MAIL, put=_field("alarm_mail")),
    "budgetMail": Override(allowed="one mail address", pattern=_MAIL, put=_field("budget_mail")),
    "budgetUsd": Override(
        allowed="whole dollars a month, from 1 to 99999",
        pattern=re.compile("[1-9][0-9]{0,4}"),
        put=_field("budget_usd", int),
    ),
}
