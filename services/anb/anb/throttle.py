"""Slows down the guessing of passwords, across all processes, so that no rival can keep an account's owner out.

A look at a password is counted before it happens, as if it had failed, and a right password takes its count back:
looks at the same time are as many as looks in turn. What is counted, and what waits once its free failures are
used up (2 s, doubling up to half a minute):

- The pair of an account and an address. One that has signed in before is free for longer and waits for nothing
  else, so that neither failures elsewhere nor those of neighbours behind its address reach it.
- The account as a whole, for everybody else. Of those who wait, whoever has failed less here goes first: somebody
  with a new device waits half a minute, a rival who goes on guessing a whole one.
- The address as a whole, for everybody else: a household, a classroom or a test run shares one.

Looks at one account: some 80 in the first hour and 60 in each further one from one address, 142 and then at most 120
from however many, 150 and then 120 from an address at which the owner signs in.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import mysql

from anb.addresses import network
from anb.errors import TooManyRequests
from anb.models import LoginFailures, now

MAX_WAIT_SECONDS = 30
_YIELDED_SECONDS = 6  # for each failure of one's own, up to another half a minute

PURGE_BATCH = 500
_REMEMBERED = timedelta(days=90)  # since the last login of a pair
_KEPT = timedelta(days=1)  # longer than anything else is remembered


@dataclass(frozen=True)
class Limit:
    """How many failures cost nothing, and after how long without another they are forgotten."""

    free_failures: int
    forgotten_after: timedelta


_OF_PAIR = Limit(10, timedelta(days=1))  # what has failed once is no newcomer for a day
_OF_KNOWN_PAIR = Limit(30, timedelta(minutes=15))
_OF_ACCOUNT = Limit(20, timedelta(minutes=15))
_OF_ADDRESS = Limit(200, timedelta(minutes=15))

_table: Table = LoginFailures.__table__  # type: ignore[assignment] # a declared class has a Table
_ROWS = _table.c.subject.in_(bindparam("subjects", expanding=True))
_LOCKED = (
    select(_table, literal_column("UTC_TIMESTAMP(6)").label("now"))
    .where(_ROWS)
    .order_by(_table.c.subject)
    .with_for_update()
)
_BLANK = (
    insert(_table)
    .prefix_with("IGNORE")
    .values(
        subject=bindparam("subject"),
        failures=0,
        last_at=now(),
        blocked_until=now(),
        has_signed_in=False,
        expires_at=now(plus_seconds=_KEPT.total_seconds()),
    )
)
_upsert = mysql.insert(_table)
_COUNTED = _upsert.on_duplicate_key_update(
    {column.name: _upsert.inserted[column.name] for column in _table.c if not column.primary_key}
)
_TAKEN_BACK: dict[str, Any] = {
    "failures": func.greatest(_table.c.failures, 1) - 1,
    # A wait that somebody else has begun since then goes on
    "blocked_until": case(
        (_table.c.blocked_until.in_(bindparam("waits", expanding=True)), _table.c.last_at),
        else_=_table.c.blocked_until,
    ),
}
_stale = _table.c.last_at < now(plus_seconds=-_OF_ACCOUNT.forgotten_after.total_seconds())
_NOTED = (
    update(_table)
    .where(_ROWS)
    # MySQL assigns from left to right
    .ordered_values(
        (_table.c.failures, case((_stale, 1), else_=_table.c.failures + 1)),
        (_table.c.last_at, now()),
    )
)
_WITHDRAWN = update(_table).where(_ROWS).values(_TAKEN_BACK)
_is_pair = _table.c.subject == bindparam("pair")
_SUCCEEDED = (
    update(_table)
    .where(_ROWS)
    .values(
        {
            **_TAKEN_BACK,
            "has_signed_in": case((_is_pair, True), else_=_table.c.has_signed_in),
            "expires_at": case((_is_pair, bindparam("remembered_until")), else_=_table.c.expires_at),
        }
    )
)
_EXPIRED = (
    select(_table.c.subject).where(_table.c.expires_at < now()).order_by(_table.c.expires_at).limit(PURGE_BATCH)
)
_FORGOTTEN = delete(_table).where(_table.c.subject == bindparam("account"))
_PURGED = delete(_table).where(_ROWS, _table.c.expires_at < now())


@dataclass(frozen=True)
class Subjects:
    """What the failures of a login count for, each stored as a hash: people type passwords into e-mail fields."""

    pair: str
    account: str
    address: str

    @classmethod
    def of(cls, *, email: str, client_address: str) -> "Subjects":
        """Return the subjects of a login, whether the account exists or not."""
        shared = network(client_address)
        # Every transaction locks the rows in the order of their keys, the pair's first
        return cls(
            pair=f"1{_hashed(f'{email} {shared}')}",
            account=f"2{_hashed(email)}",
            address=f"3{_hashed(shared)}",
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A look at a password, counted as a failure until it turns out otherwise."""

    subjects: Subjects
    is_known: bool
    began_at: datetime
    counted: Mapping[str, datetime]  # subjects, and until when the count lets them wait

    def fail(self, engine: Engine) -> None:
        """Let the count stand; that of a known pair makes others wait too who have failed before."""
        if self.is_known:
            with engine.begin() as connection:
                connection.execute(_NOTED, {"subjects": [self.subjects.account, self.subjects.address]})

    def succeed(self, engine: Engine) -> None:
        """Take the count back and remember the pair."""
        remembered = {"pair": self.subjects.pair, "remembered_until": self.began_at + _REMEMBERED}
        with engine.begin() as connection:
            connection.execute(_SUCCEEDED, {**self._counts(), **remembered})

    def withdraw(self, engine: Engine) -> None:
        """Take the count back: nobody has looked."""
        with engine.begin() as connection:
            connection.execute(_WITHDRAWN, self._counts())

    def _counts(self) -> dict[str, Any]:
        return {"subjects": sorted(self.counted), "waits": list(self.counted.values())}


def begin(engine: Engine, *, email: str, client_address: str) -> Attempt:
    """Count a look at a password before it happens; raises TooManyRequests, and counts nothing, while it has to wait.

    The caller looks, and then says how that ended.
    """
    subjects = Subjects.of(email=email, client_address=client_address)
    while True:
        with engine.begin() as connection:
            rows = _locked(connection, subjects)
            if rows is not None:
                return _counted(connection, subjects, rows)
        # In a transaction of its own: an insert among other locks could wait for somebody who waits for us
        with engine.begin() as connection:
            _add_blank_rows(connection, subjects)


def _counted(connection: Connection, subjects: Subjects, rows: Mapping[str, Row[Any]]) -> Attempt:
    pair = rows[subjects.pair]
    is_known = _is_known(pair)
    if is_known:
        limits = {subjects.pair: _OF_KNOWN_PAIR}
    else:
        limits = {subjects.pair: _OF_PAIR, subjects.account: _OF_ACCOUNT, subjects.address: _OF_ADDRESS}
    blocked_until = [pair.now, *(_waits_until(rows[subject]) for subject in limits)]
    if not is_known:
        blocked_until.append(_yields_until(pair, rows[subjects.account]))
    if (until := max(blocked_until)) > pair.now:
        raise _too_many(until - pair.now)
    counted = _count(connection, rows, limits)
    return Attempt(subjects=subjects, is_known=is_known, began_at=pair.now, counted=counted)


def purge(connection: Connection) -> int:
    """Delete up to 500 rows that mean nothing any more; return how many were due."""
    subjects = connection.scalars(_EXPIRED).all()
    if subjects:
        connection.execute(_PURGED, {"subjects": sorted(subjects)})
    return len(subjects)


def forget(connection: Connection, *, email: str) -> None:
    """Delete what is counted for an account; its pairs with addresses nobody can find, and they expire."""
    connection.execute(_FORGOTTEN, {"account": Subjects.of(email=email, client_address="").account})


def _locked(connection: Connection, subjects: Subjects) -> dict[str, Row[Any]] | None:
    """Return the subjects' rows, locked; None when one is missing."""
    keys = astuple(subjects)
    rows = {row.subject: row for row in connection.execute(_LOCKED, {"subjects": keys})}
    return rows if len(rows) == len(keys) else None


def _add_blank_rows(connection: Connection, subjects: Subjects) -> None:
    """Make the rows of subjects that have none."""
    connection.execute(_BLANK, [{"subject": key} for key in sorted(astuple(subjects))])


def _count(connection: Connection, rows: Mapping[str, Row[Any]], limits: Mapping[str, Limit]) -> dict[str, datetime]:
    """Add a failure to each row; return until when each of them waits."""
    counted = [_with_another_failure(rows[subject], limit) for subject, limit in limits.items()]
    connection.execute(_COUNTED, counted)
    return {values["subject"]: values["blocked_until"] for values in counted}


def _with_another_failure(row: Row[Any], limit: Limit) -> dict[str, Any]:
    failures = _failures(row, limit) + 1
    beyond = failures - limit.free_failures
    wait_seconds = min(MAX_WAIT_SECONDS, 2 ** (beyond + 1)) if beyond >= 0 else 0
    return {
        "subject": row.subject,
        "failures": failures,
        "last_at": row.now,
        "blocked_until": row.now + timedelta(seconds=wait_seconds),
        "has_signed_in": _is_known(row),
        "expires_at": max(row.expires_at, row.now + _KEPT),
    }


def _waits_until(row: Row[Any]) -> datetime:
    """Return until when a subject waits; without a wait that is no later than now.

    Who has counted while we waited for the row may have asked for the time after us: that is no wait of ours.
    """
    return row.blocked_until if row.blocked_until > row.last_at else row.now  # type: ignore[no-any-return] # columns of ours


def _yields_until(pair: Row[Any], account: Row[Any]) -> datetime:
    """Return until when a pair that has failed lets others go first who try the same account."""
    own_failures = _failures(pair, _OF_PAIR)
    if not own_failures or _failures(account, _OF_ACCOUNT) < _OF_ACCOUNT.free_failures:
        return account.now  # type: ignore[no-any-return] # a column of ours
    yielded_seconds = min(MAX_WAIT_SECONDS, _YIELDED_SECONDS * own_failures)
    return account.last_at + timedelta(seconds=MAX_WAIT_SECONDS + yielded_seconds)  # type: ignore[no-any-return] # a column of ours


def _is_known(row: Row[Any]) -> bool:
    return bool(row.has_signed_in and row.now < row.expires_at)


def _failures(row: Row[Any], limit: Limit) -> int:
    return int(row.failures) if row.now - row.last_at < limit.forgotten_after else 0


def _too_many(wait: timedelta) -> TooManyRequests:
    seconds = 1 + int(wait.total_seconds())
    return TooManyRequests(
        f"Demasiados intentos fallidos. Espera {seconds} segundos e inténtalo de nuevo.",
        retry_after_seconds=seconds,
    )


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[1:]
