"""Which part of a list is asked for, and where the next part is.

A list offers some of these ways to ask; `limit` has the aliases `page_size` and `size`:

    cursor, limit     what comes after a place in the list
    from, to          positions
    page, limit       what comes after so many pages
    offset, limit     what comes after so many items

Ways that contradict each other are refused, and so is whatever else looks like paging: who pages in a way that we do
not know would take the first page for the whole list.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.datastructures import MultiDict

from anb.errors import Invalid, WrongFields
from anb.search import Cursor

DEFAULT_LIMIT, MAX_LIMIT = 20, 100

_SIZES = ("limit", "page_size", "size")
_NUMBER = re.compile(r"[0-9]{1,10}")
_PUNCTUATION = re.compile(r"[^a-z0-9]")
# How clients of other services ask, without case and punctuation
_LOOKS_LIKE_PAGING = {
    *("limit", "offset", "page", "cursor", "from", "to", "size"),
    *("perpage", "pagesize", "pagelimit", "pagenumber", "pageno", "pageindex", "pageoffset", "pagetoken"),
    *("skip", "start", "take", "count", "top", "first", "last", "after", "before", "maxresults"),
    *("limite", "pagina", "desde", "hasta"),
}
_SEVERAL_WRONG = "Los parámetros no son válidos."


class Way(Enum):
    """A way to ask for a part of a list, by its parameters."""

    CURSOR = ("cursor",)
    POSITIONS = ("from", "to")
    PAGE = ("page",)
    OFFSET = ("offset",)


@dataclass(frozen=True, kw_only=True)
class Page:
    """`limit` items after the first `offset` or after a cursor; `way` is how they were asked for."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    after: Cursor | None = None
    way: Way | None = None


def requested_page(sent: MultiDict[str, str], *, ways: Sequence[Way], max_offset: int) -> Page | None:
    """Return the page that a query asks for in one of the ways, None when it asks for none.

    `max_offset` is the largest offset. Invalid names every parameter that is wrong; of two ways or sizes that
    contradict each other that is the later one.
    """
    chosen = [way for way in ways if any(name in sent for name in way.value)]
    sizes = [name for name in _SIZES if name in sent]
    way = chosen[0] if chosen else None
    limit, page, wrong = DEFAULT_LIMIT, None, WrongFields()
    with wrong:
        _refuse_what_only_looks_like_paging(sent, ways)
    with wrong:
        _refuse_contradictions(sent, chosen, sizes)
    with wrong:
        limit = number(sent, sizes[0] if sizes else "limit", default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
    with wrong:
        page = _page(sent, way, limit=limit, max_offset=max_offset)
    wrong.refuse(_SEVERAL_WRONG)
    return page if chosen or sizes else None


def depth(sent: Mapping[str, str]) -> int:
    """Return how far down a list an unchecked query asks, in items; what is no number asks for the top."""
    of_pages = (_stated(sent, "page", "pagina", otherwise=1) - 1) * _stated(sent, *_SIZES, otherwise=DEFAULT_LIMIT)
    return max(of_pages, _stated(sent, "offset", otherwise=0), _stated(sent, "from", otherwise=0))


def _stated(sent: Mapping[str, str], *names: str, otherwise: int) -> int:
    text = next((sent[name] for name in names if name in sent), "")
    return int(text) if _NUMBER.fullmatch(text) else otherwise


def link_to_next(
    response: Response, page: Page, *, max_offset: int, cursor: str | None = None, kept: Sequence[str] = ()
) -> None:
    """Say in `Link` where the page after this one is; `cursor` is where that begins, if the list has such.

    It is asked for as this one was, with the parameters that are `kept`, and beyond the largest offset by cursor
    alone.
    """
    offset = page.offset + page.limit
    query: Mapping[str, int | str] = {"limit": page.limit, "offset": offset}
    if cursor is not None and (page.way in {None, Way.CURSOR} or offset > max_offset):
        query = {"limit": page.limit, "cursor": cursor}
    elif page.way is Way.PAGE:
        query = {"limit": page.limit, "page": offset // page.limit + 1}
    # Relative: behind proxies, nobody needs to know by which name the client calls us
    others = {name: request.args[name] for name in kept if name in request.args}
    response.headers["Link"] = f'<{request.path}?{urlencode({**query, **others})}>; rel="next"'


def number(sent: Mapping[str, str], name: str, *, default: int = 1, minimum: int = 1, maximum: int) -> int:
    """Return the whole number that a parameter states, or the default; Invalid for anything else."""
    if name not in sent:
        return default
    text = sent[name]
    if not _NUMBER.fullmatch(text) or not minimum <= int(text) <= maximum:
        raise _wrong({name: f"Debe ser un número entero entre {minimum} y {maximum}."})
    return int(text)


def _page(sent: Mapping[str, str], way: Way | None, *, limit: int, max_offset: int) -> Page:
    match way:
        case Way.CURSOR:
            return Page(limit=limit, after=Cursor.from_text(sent["cursor"]), way=way)
        case Way.POSITIONS:
            return _positions(sent, max_offset=max_offset)
        case Way.PAGE:
            page, last = number(sent, "page", maximum=max_offset), max_offset // limit + 1
            if page > last:
                raise _wrong({"page": f"Con {limit} por página, la última es la {last}."})
            return Page(limit=limit, offset=(page - 1) * limit, way=way)
        case Way.OFFSET:
            return Page(limit=limit, offset=number(sent, "offset", minimum=0, maximum=max_offset), way=way)
        case None:
            return Page(limit=limit)


def _positions(sent: Mapping[str, str], *, max_offset: int) -> Page:
    first = last = 1
    wrong = WrongFields()
    with wrong:
        first = number(sent, "from", maximum=max_offset)
    with wrong:
        last = number(sent, "to", default=first + DEFAULT_LIMIT - 1, maximum=max_offset)
    wrong.refuse(_SEVERAL_WRONG)
    if first > last:
        raise _wrong({"from": "Debe ser menor o igual que to."})
    if last - first + 1 > MAX_LIMIT:
        raise _wrong({"to": f"El rango puede tener hasta {MAX_LIMIT} posiciones."})
    return Page(limit=last - first + 1, offset=first - 1, way=Way.POSITIONS)


def _refuse_what_only_looks_like_paging(sent: MultiDict[str, str], ways: Sequence[Way]) -> None:
    offered = [name for way in ways for name in way.value]
    wrong = {}
    for name in sent:
        if name in {*offered, *_SIZES}:
            if len(set(sent.getlist(name))) > 1:
                wrong[name] = "Solo se puede enviar una vez."
        elif _PUNCTUATION.sub("", name.lower()) in _LOOKS_LIKE_PAGING:
            wrong[name] = f"Esta lista se pagina con {', '.join(offered)} y limit."
    if wrong:
        raise _wrong(wrong)


def _refuse_contradictions(sent: Mapping[str, str], chosen: Sequence[Way], sizes: Sequence[str]) -> None:
    wrong = dict.fromkeys(sizes[1:], f"No se puede combinar con {sizes[0]}." if sizes else "")
    if chosen:
        text = f"No se puede combinar con {' y '.join(chosen[0].value)}."
        wrong |= {name: text for way in chosen[1:] for name in way.value if name in sent}
        if chosen[0] is Way.POSITIONS:
            wrong |= dict.fromkeys(sizes, text)
    if wrong:
        raise _wrong(wrong)


def _wrong(fields: dict[str, str]) -> Invalid:
    return Invalid(_SEVERAL_WRONG, fields=fields)
