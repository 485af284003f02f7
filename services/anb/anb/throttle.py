"""Slows down the guessing of passwords, across all processes, without locking anybody out for long.

Failures are counted per account and per address. After some free ones each further failure doubles the wait,
up to half a minute; a success, or a quarter of an hour without failures, forgets them.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.orm import Session

from anb.errors import TooManyRequests
from anb.models import LoginFailures, now

LONGEST_WAIT_SECONDS = 30
FORGET_SECONDS = 900
# A household, a classroom or a test run shares one address
_FREE_OF_ACCOUNT, _FREE_OF_ADDRESS = 10, 200


@dataclass(frozen=True)
class Subject:
    """Whose failures are counted; stored as a hash, since people type passwords into e-mail fields."""

    key: str
    free_failures: int


def account(email: str) -> Subject:
    """Return the subject for an account, whether it exists or not."""
    return Subject(_hashed(f"account:{email}"), _FREE_OF_ACCOUNT)


def address(ip: str) -> Subject:
    """Return the subject for a client's address."""
    return Subject(_hashed(f"address:{ip}"), _FREE_OF_ADDRESS)


def check(session: Session, subjects: Collection[Subject]) -> set[Subject]:
    """Return the subjects that have failed before; raise TooManyRequests while one of them has to wait."""
    remaining = func.timestampdiff(text("MICROSECOND"), now(), LoginFailures.blocked_until).label("remaining")
    query = select(LoginFailures.subject, remaining).where(LoginFailures.subject.in_([s.key for s in subjects]))
    waits = {row.subject: row.remaining for row in session.execute(query)}
    microseconds = max(waits.values(), default=0)
    if microseconds > 0:
        seconds = 1 + microseconds // 1_000_000
        raise TooManyRequests(
            f"Demasiados intentos fallidos. Espera {seconds} segundos e inténtalo de nuevo.",
            retry_after_seconds=seconds,
        )
    return {subject for subject in subjects if subject.key in waits}


def note_failure(session: Session, subjects: Iterable[Subject]) -> None:
    """Count one failure for each subject."""
    for subject in subjects:
        session.execute(_counted(subject))


def forget(session: Session, subject: Subject) -> None:
    """Let the subject begin anew."""
    session.execute(delete(LoginFailures).where(LoginFailures.subject == subject.key))


def _counted(subject: Subject) -> Any:
    stale = LoginFailures.last_at < now(plus_seconds=-FORGET_SECONDS)
    beyond = LoginFailures.failures - subject.free_failures
    wait_seconds = func.if_(beyond > 0, func.least(LONGEST_WAIT_SECONDS, func.pow(2, beyond)), 0)
    first = insert(LoginFailures).values(subject=subject.key, failures=1, last_at=now(), blocked_until=now())
    # MySQL assigns from left to right: each line sees what the lines above it have set
    return first.on_duplicate_key_update(
        [
            ("failures", func.if_(stale, 1, LoginFailures.failures + 1)),
            ("last_at", now()),
            ("blocked_until", func.timestampadd(text("SECOND"), wait_seconds, now())),
        ]
    )


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
