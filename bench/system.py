"""A system of a measurement's own, and the players and videos in it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from anb import accounts
from anb.database import connect
from anb.migrations import upgrade
from demo.client import Client
from local.system import SERVICES, System, running_system

PASSWORD = "StrongPass123"  # noqa: S105 of invented players
FILLING_SECONDS = 3600


@contextmanager
def running_api() -> Iterator[System]:
    """Run everything but the worker, until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as state,
        running_system(Path(state), services=set(SERVICES) - {"worker"}) as system,
    ):
        yield system


def account(player: int) -> dict[str, str]:
    """Return what a player logs in with; players are numbered from 1, as their ids are."""
    return {"email": f"p{player}@example.com", "password": PASSWORD}


def log_in(url: str, player: int) -> str:
    """Return a token of the player's."""
    return str(Client(url).send("POST", "/api/auth/login", json=account(player)).expect(200)["access_token"])


def video_id(number: int) -> UUID:
    """Return the id of a video; they are numbered from 1."""
    return UUID(int=number)


def fill(url: str, *, players: int, owners: int, videos: int, votes_for_each: int = 0) -> None:
    """Fill the tables behind a URL, which are made where there are none.

    Videos are processed, and video n is of the owner 1 + n, cyclically. Whoever voted comes after the first 10,000
    players. The first owners have a place in the ranking.
    """
    engine = connect(url, pool_size=2, timeout_seconds=FILLING_SECONDS, idle_seconds=FILLING_SECONDS)
    upgrade(engine)
    numbers = {
        "players": players,
        "owners": owners,
        "videos": videos,
        "each": votes_for_each,
        "votes": videos * votes_for_each,
        "password_hash": accounts.hash_password(PASSWORD),
    }
    with engine.connect() as connection:
        for statement in STATEMENTS:
            connection.execute(text(statement), numbers)
            connection.commit()
    engine.dispose()


# `seq_1_to_…` is MariaDB's table of so many numbers, of which it makes those alone that are asked for
STATEMENTS = (
    "SET unique_checks = 0, foreign_key_checks = 0",
    """
    INSERT INTO users (id, email, canonical_email, first_name, last_name, city, country, password_hash)
    SELECT seq, CONCAT('p', seq, '@example.com'), CONCAT('p', seq, '@example.com'), 'Ana', CONCAT('Gil ', seq),
        CONCAT('City ', seq % 50), 'Colombia', :password_hash
    FROM seq_1_to_1000000000 WHERE seq <= :players
    """,
    """
    INSERT INTO videos (id, user_id, title, city, status, request_id, votes, uploaded_at, processed_at, attempt)
    SELECT LPAD(LOWER(HEX(seq)), 32, '0'), 1 + seq % :owners, CONCAT('Video ', seq),
        CONCAT('City ', (1 + seq % :owners) % 50), 'processed', 'bench', :each,
        UTC_TIMESTAMP() - INTERVAL seq SECOND, UTC_TIMESTAMP() - INTERVAL seq SECOND, 1
    FROM seq_1_to_1000000000 WHERE seq <= :videos
    """,
    # What all have, what a tenth has, one in 50, and one: a page of 20 is full in the smallest tables, too
    *(
        f"""
        INSERT INTO video_words (word, video_id, processed_at, votes)
        SELECT {word}, LPAD(LOWER(HEX(seq)), 32, '0'), UTC_TIMESTAMP() - INTERVAL seq SECOND, :each
        FROM seq_1_to_1000000000 WHERE seq <= :videos
        """  # noqa: S608 words of ours
        for word in ("'video'", "CONCAT('gil', seq % 10)", "CONCAT('club', seq % 50)", "seq")
    ),
    """
    INSERT INTO votes (video_id, user_id)
    SELECT LPAD(LOWER(HEX(1 + (seq - 1) DIV :each)), 32, '0'), 10001 + (seq - 1) % :each
    FROM seq_1_to_1000000000 WHERE seq <= :votes
    """,
    """
    INSERT INTO standings (user_id, city, votes)
    SELECT u.id, u.city, COALESCE(SUM(v.votes), 0) + u.id % 1000
    FROM users u LEFT JOIN videos v ON v.user_id = u.id WHERE u.id <= :owners GROUP BY u.id, u.city
    """,
    "ANALYZE TABLE users, videos, video_words, votes, standings",
)
