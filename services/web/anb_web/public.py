"""`/api/public`: what everybody sees, and voting."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from anb import texts, videos, voting
from anb.errors import Invalid
from anb.storage import processed_key, thumbnail_key
from anb_web.briefly import remembered
from anb_web.formats import utc
from anb_web.parts import parts
from anb_web.tokens import current_user_id, signed_in

bp = Blueprint("public", __name__, url_prefix="/api/public")

DEFAULT_LIMIT, LARGEST_LIMIT = 20, 100
_LARGEST_POSITION = 10**9
_NUMBER = re.compile(r"[0-9]{1,10}")


@bp.get("/videos")
@remembered
def list_public() -> Response:
    limit = number(request.args, "limit", default=DEFAULT_LIMIT, largest=LARGEST_LIMIT)
    items, following = page_of_videos(limit=limit, cursor=request.args.get("cursor"))
    response = jsonify(items)
    if following is not None:
        query = urlencode({"limit": limit, "cursor": following})
        response.headers["Link"] = f'<{request.base_url}?{query}>; rel="next"'
    return response


@bp.post("/videos/<video_id>/vote")
@signed_in
def vote(video_id: str) -> ResponseReturnValue:
    with parts().engine.begin() as connection:
        voting.cast_vote(connection, voter_id=current_user_id(), video_id=videos.parse_id(video_id))
    return {"message": "Voto registrado exitosamente."}


@bp.get("/rankings")
@remembered
def rankings() -> Response:
    limit, offset = _page(request.args)
    city = texts.folded(request.args.get("city", "")) or None
    with parts().sessions() as session:
        places = voting.ranking(session, limit=limit, offset=offset, city=city)
    return jsonify([asdict(place) for place in places])


def page_of_videos(*, limit: int, cursor: str | None) -> tuple[list[dict[str, object]], str | None]:
    """Return up to `limit` videos as everybody sees them, and the cursor of the next page."""
    with parts().sessions() as session:
        page, following = videos.public_page(
            session, limit=limit, after=videos.Cursor.from_text(cursor) if cursor is not None else None
        )
    items = [_item(video) for video in page]
    return items, following.to_text() if following is not None else None


def _item(video: videos.Columns) -> dict[str, object]:
    link = parts().storage.link
    return {
        "video_id": str(video.id),
        "title": video.title,
        "username": f"{video.first_name} {video.last_name}",
        "city": video.city,
        "processed_url": link(processed_key(video.id, video.attempt)),
        "thumbnail_url": link(thumbnail_key(video.id, video.attempt)),
        "uploaded_at": utc(video.uploaded_at),
        "processed_at": utc(video.processed_at),
        "votes": video.votes,
    }


def _page(sent: Mapping[str, str]) -> tuple[int, int]:
    """Return limit and offset from one of the three ways to ask: pages, an offset, or a range of positions."""
    if "from" in sent or "to" in sent:
        return _range(sent)
    sizes = [name for name in ("limit", "page_size", "size") if name in sent]
    if len(sizes) > 1 or ("page" in sent and "offset" in sent):
        raise _wrong(sizes[-1] if len(sizes) > 1 else "offset", "No se puede combinar con los otros parámetros.")
    limit = number(sent, sizes[0] if sizes else "limit", default=DEFAULT_LIMIT, largest=LARGEST_LIMIT)
    if "offset" in sent:
        return limit, number(sent, "offset", default=0, smallest=0)
    return limit, (number(sent, "page", default=1) - 1) * limit


def _range(sent: Mapping[str, str]) -> tuple[int, int]:
    if mixed := {"page", "limit", "page_size", "size", "offset"} & set(sent):
        raise _wrong(min(mixed), "No se puede combinar con from y to.")
    first = number(sent, "from", default=1)
    last = number(sent, "to", default=first + DEFAULT_LIMIT - 1)
    if first > last:
        raise _wrong("from", "Debe ser menor o igual que to.")
    if last - first + 1 > LARGEST_LIMIT:
        raise _wrong("to", f"El rango puede tener hasta {LARGEST_LIMIT} posiciones.")
    return last - first + 1, first - 1


def number(
    sent: Mapping[str, str], name: str, *, default: int, smallest: int = 1, largest: int = _LARGEST_POSITION
) -> int:
    """Return the whole number that a parameter states, or the default; Invalid for anything else."""
    if name not in sent:
        return default
    text = sent[name]
    if not _NUMBER.fullmatch(text) or not smallest <= int(text) <= largest:
        raise _wrong(name, f"Debe ser un número entero entre {smallest} y {largest}.")
    return int(text)


def _wrong(name: str, text: str) -> Invalid:
    return Invalid("Los parámetros no son válidos.", fields={name: text})
