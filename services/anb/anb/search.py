"""Finding videos that are open to votes: by words and city, newest or most voted first.

Every page is read from an index, in its order, so that it costs the same however many videos there are: that of the
whole list, of a city's or of a word's. Of several conditions it is the index of the rarest, and what does not meet
the others is left out on the way. Where hardly anything meets them all, a page ends before it is full, and the next
goes on from there.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, Select, bindparam, or_, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Executable

from anb.errors import Invalid
from anb.models import Status, User, Video, VideoWord

MAX_WORD_LENGTH = 40
MAX_WORDS = 8  # of a query: nobody remembers more of a title
MAX_EXAMINED = 500  # videos for a page, of those that meet the rarest of several conditions
MISSED_BATCH = 100

_INDEXES = {"newest": "ix_video_words_newest", "votes": "ix_video_words_most_voted"}
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[0-9]{1,18}")
_TEXTS = (
    select(Video.title, Video.processed_at, Video.votes, User.first_name, User.last_name, User.city)
    .join(User, User.id == Video.user_id)
    .where(Video.id == bindparam("video_id"))
)
_SET_CITY = update(Video).where(Video.id == bindparam("found_id")).values(city=bindparam("players_city"))
_upsert = mysql.insert(VideoWord)
_ENTER = _upsert.on_duplicate_key_update(
    processed_at=_upsert.inserted.processed_at, votes=_upsert.inserted.votes
).inline()
_VOTES_NOTED = (
    update(VideoWord)
    .where(VideoWord.video_id == Video.id, Video.id.in_(bindparam("video_ids", expanding=True)))
    .values({VideoWord.votes: Video.votes})
)
# From before there was a search, or finished since by a worker that knows of none. Whoever is entered has a city
_MISSED = (
    select(Video.id)
    .where(Video.status == Status.PROCESSED, Video.city.is_(None))
    .limit(MISSED_BATCH)
    .with_for_update(skip_locked=True)
)


class _Explained(Executable, ClauseElement):
    """How the database would read a statement, and from how many rows: which it tells without reading them."""

    inherit_cache = False  # three of them, each compiled in less time than a round trip takes

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _explain(element: _Explained, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN FORMAT=TRADITIONAL {compiler.process(element.statement, **options)}"


# What they select is none of the explanation's columns, and lends none of them its type
_HAVE_WORD = _Explained(select(VideoWord.word).where(VideoWord.word == bindparam("word")))
_OF_CITY = _Explained(select(Video.city).where(Video.status == Status.PROCESSED, Video.city == bindparam("city")))


class Order(StrEnum):
    """What comes first: by which column the list is in order, from high to low, and then by the ids."""

    NEWEST = "newest"
    VOTES = "votes"

    @property
    def column(self) -> Any:
        """Which of the video's."""
        return Video.votes if self is Order.VOTES else Video.processed_at


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which videos, in which order; without a word and a city it is all of them."""

    words: Sequence[str] = ()
    city: str | None = None
    order: Order = Order.NEWEST


@dataclass(frozen=True)
class Cursor:
    """Where a page ends: at which video's place in the list's order; opaque to clients."""

    at: datetime | int
    """When it was processed, or its counted votes."""
    video_id: UUID

    @property
    def order(self) -> Order:
        """The order of the list that it is of."""
        return Order.VOTES if isinstance(self.at, int) else Order.NEWEST

    def to_text(self) -> str:
        """Return the cursor as it stands in a URL."""
        at = str(self.at) if isinstance(self.at, int) else self.at.isoformat()
        return base64.urlsafe_b64encode(f"{at}|{self.video_id}".encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a cursor that we handed out; Invalid for anything else."""
        try:
            at, _, video_id = base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii").partition("|")
            if _NUMBER.fullmatch(at):
                return cls(int(at), UUID(video_id))
            return cls(datetime.fromisoformat(at).replace(tzinfo=None), UUID(video_id))
        except (binascii.Error, ValueError):
            raise _not_of_this_list() from None


def _not_of_this_list() -> Invalid:
    return Invalid("El cursor no es válido.", fields={"cursor": "No es un cursor de esta lista."})


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The videos of a page."""

    ids: Select[UUID]
    """The statement for their ids, which takes an offset or, after a cursor, none, and how many at most."""
    asked: dict[str, Any]
    """What else the statement is executed with."""
    examined_to: Cursor | None
    """After which there may be more, even if the page is not full; None when all were looked at."""


def words(*texts: str) -> list[str]:
    """Return the words of the texts, each once, in small letters and without accents, as they are found by."""
    folded = unicodedata.normalize("NFKD", " ".join(texts).casefold())
    bare = "".join(character for character in folded if not unicodedata.combining(character))
    return list(dict.fromkeys(word[:MAX_WORD_LENGTH] for word in _WORD.findall(bare)))


def enter(connection: Connection, *, video_id: UUID) -> None:
    """Let a video be found by its title, its player's name and city; once is enough, again is harmless."""
    texts = connection.execute(_TEXTS, {"video_id": video_id}).one()
    connection.execute(_SET_CITY, {"found_id": video_id, "players_city": texts.city})
    found = words(texts.title, texts.first_name, texts.last_name)
    if found:  # a title may be emoji alone, and names of earlier days, too
        row = {"video_id": video_id, "processed_at": texts.processed_at, "votes": texts.votes}
        connection.execute(_ENTER, [{**row, "word": word} for word in sorted(found)])


def note_votes(connection: Connection, *, video_ids: Sequence[UUID]) -> None:
    """Put videos whose rows the caller has locked in their places among the most voted with a word."""
    connection.execute(_VOTES_NOTED, {"video_ids": video_ids})


def enter_missed(connection: Connection) -> int:
    """Let up to 100 videos be found that are open to votes and were never entered; return how many they were."""
    missed = connection.scalars(_MISSED).all()
    for video_id in missed:
        enter(connection, video_id=video_id)
    return len(missed)


def choose(connection: Connection, wanted: Wanted, *, after: Cursor | None) -> Chosen:
    """Return which videos are on the page that begins after a cursor, or on one of the first.

    Raises Invalid for a cursor of a list in another order.
    """
    if after is not None and after.order is not wanted.order:
        raise _not_of_this_list()
    of_city = {} if wanted.city is None else {"city": wanted.city}
    in_turn, city_first, count = list(wanted.words), not wanted.words, 0
    if len(in_turn) + len(of_city) > 1:
        counts = {word: _row_count(connection, _HAVE_WORD, word=word) for word in in_turn}
        in_turn.sort(key=lambda word: counts[word])
        count = counts[in_turn[0]]
        if of_city:
            in_city = _row_count(connection, _OF_CITY, **of_city)
            city_first, count = in_city < count, min(in_city, count)
    first = _First(order=wanted.order, has_city=bool(of_city), is_city=city_first, has_cursor=after is not None)
    asked: dict[str, Any] = {**of_city, **{f"word_{number}": word for number, word in enumerate(in_turn)}}
    if after is not None:
        asked |= {"at": after.at, "after_id": after.video_id}
    examined_to = None
    if count > MAX_EXAMINED and (last := connection.execute(_last_examined(first), asked).one_or_none()):
        examined_to = Cursor(*last)
        asked |= {"until": examined_to.at, "until_id": examined_to.video_id}
    ids = _statement(first, len(in_turn), examined_to is not None)
    return Chosen(ids=ids, asked=asked, examined_to=examined_to)


def _row_count(connection: Connection, explained: _Explained, **values: str) -> int:
    # Counting would take the longer the more there are; the index's depth and its first pages tell nearly as well
    return int(connection.execute(explained, values).mappings().one()["rows"] or 0)


@dataclass(frozen=True, kw_only=True)
class _First:
    """By which index a page is read: of all videos or a city's, or else of those with the first word."""

    order: Order
    has_city: bool
    is_city: bool
    has_cursor: bool


@cache
def _last_examined(first: _First) -> Select[Any]:
    table = Video.__table__ if first.is_city else VideoWord.__table__.alias("word_0")
    at, id_ = _place(table, first.order)
    place = _read(select(at, id_).select_from(table), table, first)
    place = place.where(*_is_public(table, first) if first.is_city else _have_words([table]))
    return place.limit(1).offset(MAX_EXAMINED - 1)


@cache
def _statement(first: _First, words: int, has_end: bool) -> Select[UUID]:
    videos, with_word = Video.__table__, [VideoWord.__table__.alias(f"word_{number}") for number in range(words)]
    # In the order of the joins; the first says in which order the page is, by an index
    table, *others = (videos, *with_word) if first.is_city else (*with_word, videos)
    at, id_ = _place(table, first.order)
    joined: FromClause = table
    for other in others:
        joined = joined.join(other, _place(other, first.order)[1] == id_)
    chosen = select(videos.c.id).prefix_with("STRAIGHT_JOIN").select_from(joined).limit(bindparam("at_most"))
    chosen = _read(chosen, table, first).where(*_is_public(videos, first), *_have_words(with_word))
    if has_end:
        until, until_id = bindparam("until", type_=at.type), bindparam("until_id", type_=id_.type)
        chosen = chosen.where(at >= until, or_(at > until, id_ >= until_id))
    return chosen if first.has_cursor else chosen.offset(bindparam("skipped"))


def _place(table: FromClause, order: Order) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return table.c[order.column.name], table.c.id if table is Video.__table__ else table.c.video_id


def _read(statement: Select[Any], table: FromClause, first: _First) -> Select[Any]:
    at, id_ = _place(table, first.order)
    if table is not Video.__table__:
        statement = statement.with_hint(table, f"FORCE INDEX ({_INDEXES[first.order]})")
    if first.has_cursor:
        # Written out, because MySQL reads no index range for a comparison of rows
        last = bindparam("at", type_=at.type)
        statement = statement.where(at <= last, or_(at < last, id_ < bindparam("after_id", type_=id_.type)))
    return statement.order_by(at.desc(), id_.desc())


def _is_public(videos: FromClause, first: _First) -> Iterator[ColumnElement[bool]]:
    yield videos.c.status == Status.PROCESSED
    if first.has_city:
        yield videos.c.city == bindparam("city")


def _have_words(aliases: Sequence[FromClause]) -> Iterator[ColumnElement[bool]]:
    for number, alias in enumerate(aliases):
        yield alias.c.word == bindparam(f"word_{number}")
