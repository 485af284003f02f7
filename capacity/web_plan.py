"""What is run of scenario 1, in which order, and how far: the plan that the documents describe."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from capacity.criteria import MAX_ERROR_SHARE, MAX_P95_SECONDS, WINDOW_SECONDS

SUSTAINED_SHARE = 0.8
"""Of the most users within the targets."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How long things take."""

    name: str
    smoke_users: int = 5
    smoke_seconds: float
    ramp_seconds: float
    hold_seconds: float
    sustained_seconds: float
    side_ramp_seconds: float
    """Of the series that only compare."""
    side_hold_seconds: float
    max_rungs: int


FULL = Form(
    name="full",
    smoke_seconds=60,
    ramp_seconds=180,
    hold_seconds=300,
    sustained_seconds=300,
    side_ramp_seconds=15,
    side_hold_seconds=45,
    max_rungs=6,
)
MEDIUM = Form(
    name="medium",
    smoke_seconds=12,
    ramp_seconds=10,
    hold_seconds=25,
    sustained_seconds=25,
    side_ramp_seconds=5,
    side_hold_seconds=15,
    max_rungs=6,
)
SHORT = Form(
    name="short",
    smoke_seconds=4,
    ramp_seconds=2,
    hold_seconds=5,
    sustained_seconds=4,
    side_ramp_seconds=1,
    side_hold_seconds=4,
    max_rungs=1,
)
FORMS = {form.name: form for form in (FULL, MEDIUM, SHORT)}


@dataclass(frozen=True, kw_only=True)
class Series:
    """A way of uploading one size, with growing numbers of users."""

    key: str
    title: str
    """For the documents."""
    journey: str
    """A class of capacity-planning/scenarios/uploads.py."""
    megabytes: int
    users: Sequence[int]
    pause_seconds: float = 10.0
    is_main: bool = False
    """Run at full length, and sustained at its best."""
    emulates_store: bool = False
    """Against the emulated object store and not the one that costs nothing."""

    def label(self, megabytes: int) -> str:
        """Return what the documents call it, with files of that size."""
        return f"{self.title}, {megabytes} MB{', con el almacenamiento emulado' if self.emulates_store else ''}"


SERIES = (
    Series(
        key="multipart10",
        title="A través de la API",
        journey="MultipartUploader",
        megabytes=10,
        users=(100, 200, 300, 400, 500),
        is_main=True,
    ),
    Series(
        key="direct50",
        title="Directa al almacenamiento",
        journey="DirectUploader",
        megabytes=50,
        users=(100, 200, 300, 400, 500),
        is_main=True,
    ),
    Series(
        key="multipart50",
        title="A través de la API",
        journey="MultipartUploader",
        megabytes=50,
        users=(10, 20, 40, 60, 80),
    ),
    Series(
        key="multipart100",
        title="A través de la API",
        journey="MultipartUploader",
        megabytes=100,
        users=(5, 10, 20, 30, 40),
    ),
    Series(
        key="direct100",
        title="Directa al almacenamiento",
        journey="DirectUploader",
        megabytes=100,
        users=(50, 100, 150, 200, 250),
    ),
    Series(
        key="emulated10",
        title="A través de la API",
        journey="MultipartUploader",
        megabytes=10,
        users=(50, 100, 150, 200),
        emulates_store=True,
    ),
    Series(
        key="visit10",
        title="Visita completa con subida directa",
        journey="Fan",
        megabytes=10,
        users=(200, 400, 800, 1200),
    ),
)
SHORT_SERIES = tuple(
    replace(one, megabytes=10, users=(3,), pause_seconds=1.0)
    for one in SERIES
    if one.key in {"multipart10", "direct50", "visit10"}
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """So many users, come within the ramp, who stay as long as it is held."""

    form: str
    series: str
    kind: str
    """`smoke`, `ramp` or `sustained`."""
    journey: str
    megabytes: int
    emulates_store: bool
    pause_seconds: float
    users: int
    ramp_seconds: float
    hold_seconds: float

    @property
    def name(self) -> str:
        """Return what its raw data are called."""
        return f"{self.series}-{self.kind}-{self.users:03}"

    @property
    def seconds(self) -> float:
        """Return how long it takes."""
        return self.ramp_seconds + self.hold_seconds

    def to_json(self) -> dict[str, Any]:
        """Return it for the raw data."""
        return asdict(self)


Holds = Callable[[Stage], bool]
"""Runs a stage, or remembers that it was run, and says whether every criterion held."""


def run_through(form: Form, holds: Holds, series: Sequence[Series] = SERIES) -> None:
    """Run every stage of the plan: of each series ever more users until a criterion breaks."""
    for one in series:
        if one.is_main:
            holds(_stage(form, one, "smoke", form.smoke_users))
        best = _climb(form, holds, one)
        if one.is_main and best:
            holds(_stage(form, one, "sustained", max(1, round(best * SUSTAINED_SHARE))))


def _climb(form: Form, holds: Holds, series: Series) -> int:
    """Return the most users with whom everything held."""
    best = 0
    for users in series.users[: form.max_rungs]:
        if not holds(_stage(form, series, "ramp", users)):
            break
        best = users
    return best


def _stage(form: Form, series: Series, kind: str, users: int) -> Stage:
    ramp, hold = _lengths(form, series, kind)
    return Stage(
        form=form.name,
        series=series.key,
        kind=kind,
        journey=series.journey,
        megabytes=series.megabytes,
        emulates_store=series.emulates_store,
        pause_seconds=series.pause_seconds,
        users=users,
        ramp_seconds=ramp,
        hold_seconds=hold,
    )


def _lengths(form: Form, series: Series, kind: str) -> tuple[float, float]:
    if kind == "smoke":
        return 0.0, form.smoke_seconds
    if kind == "sustained":
        return min(form.ramp_seconds, 30.0), form.sustained_seconds
    if series.is_main:
        return form.ramp_seconds, form.hold_seconds
    return form.side_ramp_seconds, form.side_hold_seconds


def stages_at_most(form: Form, series: Sequence[Series] = SERIES) -> Iterator[Stage]:
    """Yield the stages as they would be if nothing ever broke: how long it takes at most."""
    collected: list[Stage] = []

    def keep(stage: Stage) -> bool:
        collected.append(stage)
        return True

    run_through(form, keep, series)
    yield from collected


def given() -> dict[str, Any]:
    """Return what the documents say of the plan."""
    return {
        "max_p95_seconds": MAX_P95_SECONDS,
        "max_error_share": MAX_ERROR_SHARE,
        "window_seconds": WINDOW_SECONDS,
        "sustained_share": SUSTAINED_SHARE,
        "pause_seconds": SERIES[0].pause_seconds,
        "smoke_users": FULL.smoke_users,
        "smoke_minutes": FULL.smoke_seconds / 60,
        "ramp_minutes": FULL.ramp_seconds / 60,
        "hold_minutes": FULL.hold_seconds / 60,
        "sustained_minutes": FULL.sustained_seconds / 60,
        "side_ramp_seconds": FULL.side_ramp_seconds,
        "side_hold_seconds": FULL.side_hold_seconds,
        "max_full_minutes": sum(stage.seconds for stage in stages_at_most(FULL)) / 60,
        "series": {
            one.key: {"title": one.label(one.megabytes), "users": " → ".join(map(str, one.users))} for one in SERIES
        },
    }
