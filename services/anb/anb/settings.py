"""What a process is told by its environment, read once where the process is composed."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class SettingsError(Exception):
    """The environment lacks settings or holds unusable ones; the message names all of them."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every process of the product needs; a setting `x` comes from the variable `ANB_X`."""

    database_url: str = field(repr=False)
    media_bucket: str
    queue_url: str
    pending: str = (
        ""  # variables whose secrets could not be had yet, see anb/environment.py; their settings are empty
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings; SettingsError names everything that is missing or wrong, at once."""
        values = {f.name: environment[variable(f.name)] for f in fields(cls) if environment.get(variable(f.name))}
        pending = environment.get(variable("pending"), "").split()
        values |= {f.name: "" for f in fields(cls) if variable(f.name) in pending}
        missing = [variable(f.name) for f in fields(cls) if f.name not in values and f.default is MISSING]
        if missing:
            raise SettingsError(f"these environment variables are not set: {', '.join(missing)}")
        numbers = {f.name for f in fields(cls) if f.type is int} & values.keys()
        if wrong := [variable(name) for name in sorted(numbers) if not _NUMBER.fullmatch(values[name])]:
            raise SettingsError(f"these environment variables must be whole numbers above 0: {', '.join(wrong)}")
        typed: dict[str, Any] = {**values, **{name: int(values[name]) for name in numbers}}
        settings = cls(**typed)
        if problems := settings.problems():
            raise SettingsError("; ".join(problems))
        return settings

    def is_pending(self, name: str) -> bool:
        """Return whether the setting's secret could not be had yet."""
        return variable(name) in self.pending.split()

    def problems(self) -> list[str]:
        """Return a sentence for each setting that cannot be used; a secret is never quoted."""
        if self.is_pending("database_url"):
            return []
        try:
            usable = make_url(self.database_url).drivername == "mysql+pymysql"
        except ArgumentError:
            usable = False
        return [] if usable else ["ANB_DATABASE_URL must look like mysql+pymysql://user:password@host/database"]


def variable(name: str) -> str:
    """Return the name of the environment variable that holds the setting."""
    return f"ANB_{name.upper()}"
