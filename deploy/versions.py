"""What others withdraw one day, and a deployment stands on: the table is versions.toml."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

TABLE = Path(__file__).with_suffix(".toml")
NEAR = timedelta(days=180)  # to change it without haste, with a course's term in between
NODE = "node "


@dataclass(frozen=True, kw_only=True)
class Version:
    """Something in use; `ends` is its last day, if one is announced. The table says what the fields mean."""

    what: str
    name: str
    source: str
    then: str
    ends: date | None = None
    verified: bool = False
    look_up: str = ""


def table() -> list[Version]:
    """Return all rows, in the table's order."""
    return [Version(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["version"]]


def warnings(versions: Iterable[Version], today: date, *, node: int) -> list[str]:
    """Return a sentence for each version that has ended or does within half a year.

    `node` is the major version of the Node.js in use; what ends of others does not matter.
    """
    in_use = (version for version in versions if not version.name.startswith(NODE) or version.name == f"{NODE}{node}")
    return [_sentence(version, today) for version in in_use if version.ends and version.ends - today <= NEAR]


def _sentence(version: Version, today: date) -> str:
    verb = "ended" if version.ends and version.ends < today else "ends"
    doubt = "" if version.verified else ", a day that is to be verified"
    asked = f" ({version.look_up})" if version.look_up else ""
    what = f"{version.what[0].upper()}{version.what[1:]}, {version.name}, {verb} on {version.ends}{doubt}."
    return f"{what} {version.then}. See {version.source}{asked}."
