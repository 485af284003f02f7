"""Finding videos that are open to votes: by words and city, newest or most voted first.

Every page is read from an index, in its order, so that it costs the same however many videos there are. Words have an
index of their own: what few videos have is read whole and put in order, for what many have the list itself is walked
and the others left out.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, Select, bindparam, func, insert, or_, select, update

from anb.models import Status, User, Video, VideoWord

MAX_WORD_LENGTH = 40
MAX_WORDS = 8  # of a query: nobody remembers more of a title
# Videos that are put in order for one page. Of a million, the list's walk reads no more than that for any other word
FEW = 4000
FEW_OF_SEVERAL_WORDS = 20_000  # of which most lack another word, as an index says, and are not put in order
MISSED_BATCH = 100

_WORD = re.compile(r"\w+")
_TEXTS = (
    select(Video.title, User.first_name, User.last_name, User.city)
    .join(User, User.id == Video.user_id)
    .where(Video.id == bindparam("video_id"))
)
_SET_CITY = update(Video).where(Video.id == bindparam("found_id")).values(city=bindparam("players_city"))
_ENTER = insert(VideoWord).prefix_with("IGNORE").inline()
# From before there was a search, or finished since by a worker that knows of none. Whoever is entered has a city
_MISSED = (
    select(Video.id)
    .where(Video.status == Status.PROCESSED, Video.city.is_(None))
    .limit(MISSED_BATCH)
    .with_for_update(skip_locked=True)
)
_HOW_MANY = select(func.count()).select_from(
    select(VideoWord.video_id).where(VideoWord.word == bindparam("word")).limit(bindparam("most")).subquery()
)


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    VOTES = "votes"

    @property
    def column(self) -> Any:
        """By what the list is in order, from high to low, and then by the ids."""
        return Video.votes if self is Order.VOTES else Video.processed_at


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which videos, in which order; without a word and a city it is all of them."""

    words: Sequence[str] = ()
    city: str | None = None
    order: Order = Order.NEWEST


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
        connection.execute(_ENTER, [{"video_id": video_id, "word": word} for word in sorted(found)])


def enter_missed(connection: Connection) -> int:
    """Let up to 100 videos be found that are open to votes and were never entered; return how many they were."""
    missed = connection.scalars(_MISSED).all()
    for video_id in missed:
        enter(connection, video_id=video_id)
    return len(missed)


def page_of_ids(connection: Connection, wanted: Wanted, *, has_cursor: bool) -> tuple[Select[UUID], dict[str, Any]]:
    """Return the statement for the ids of a page, and what it is asked with beside its cursor or offset and limit."""
    asked: dict[str, Any] = {} if wanted.city is None else {"city": wanted.city}
    few = FEW if len(wanted.words) == 1 else FEW_OF_SEVERAL_WORDS
    counts = {word: _how_many(connection, word, most=few + 1) for word in wanted.words}
    in_turn = sorted(counts, key=lambda word: counts[word])
    asked |= {f"word_{number}": word for number, word in enumerate(in_turn)}
    is_rare = bool(in_turn) and counts[in_turn[0]] <= few
    return _statement(wanted.order, wanted.city is not None, len(in_turn), is_rare, has_cursor), asked


def _how_many(connection: Connection, word: str, *, most: int) -> int:
    return int(connection.scalar(_HOW_MANY, {"word": word, "most": most}) or 0)


@cache
def _statement(order: Order, has_city: bool, words: int, is_rare: bool, has_cursor: bool) -> Select[UUID]:
    chosen = select(Video.id).where(Video.status == Status.PROCESSED).limit(bindparam("at_most"))
    if words:
        chosen = _with_words(chosen, words, is_rare=is_rare)
    if has_city:
        chosen = chosen.where(Video.city == bindparam("city"))
    if has_cursor:
        return _ordered(chosen.where(_after(order)), order)
    return _ordered(chosen, order).offset(bindparam("skipped"))


def _with_words(chosen: Select[UUID], words: int, *, is_rare: bool) -> Select[UUID]:
    """Read in the order of the joins: the rarest word, the others and then the videos, or the list and its words."""
    videos = Video.__table__
    first, *others = (VideoWord.__table__.alias(f"word_{number}") for number in range(words))
    has_all = [word.c.word == bindparam(str(word.name)) for word in (first, *others)]
    joined: FromClause = first if is_rare else videos.join(first, first.c.video_id == videos.c.id)
    for word in others:
        joined = joined.join(word, word.c.video_id == (first.c.video_id if is_rare else videos.c.id))
    if is_rare:
        joined = joined.join(videos, videos.c.id == first.c.video_id)
    return chosen.prefix_with("STRAIGHT_JOIN").select_from(joined).where(*has_all)


def _ordered(chosen: Select[UUID], order: Order) -> Select[UUID]:
    return chosen.order_by(order.column.desc(), Video.id.desc())


def _after(order: Order) -> ColumnElement[bool]:
    # Written out, because MySQL reads no index range for a comparison of rows
    at = bindparam("at", type_=order.column.type)
    before: ColumnElement[bool] = (order.column <= at) & or_(
        order.column < at, Video.id < bindparam("after_id", type_=Video.id.type)
    )
    return before
