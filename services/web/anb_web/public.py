"""`/api/public`: what everybody sees, and voting."""

from collections.abc import Mapping
from dataclasses import replace

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from anb import search, texts, videos, voting
from anb.errors import Invalid, WrongFields
from anb.search import Order, Wanted
from anb.storage import processed_key, thumbnail_key
from anb_web import paging, tokens
from anb_web.addresses import hashed_address
from anb_web.caching import cached_response
from anb_web.dependencies import dependencies
from anb_web.formats import utc
from anb_web.paging import Page, Way
from anb_web.tokens import current_user_id, signed_in

bp = Blueprint("public", __name__, url_prefix="/api/public")

# The database counts its way to an offset, so that there is a bound; a cursor goes on from there
MAX_VIDEO_OFFSET = 10_000
MAX_PLACE_OFFSET = 1_000_000
_FILTERS = ("q", "city", "sort")


@bp.get("/videos")
def list_public() -> Response:
    voter_id = tokens.known_user_id()
    return _list_for_all() if voter_id is None else _list(voter_id)


@cached_response
def _list_for_all() -> Response:
    return _list(None)


def _list(voter_id: int | None) -> Response:
    page, wanted, wrong = None, Wanted(), WrongFields()
    with wrong:
        page = paging.requested_page(
            request.args, ways=(Way.CURSOR, Way.PAGE, Way.OFFSET), max_offset=MAX_VIDEO_OFFSET
        )
    with wrong:
        wanted = requested_videos(request.args, words="q", city="city", order="sort")
    wrong.refuse("Los parámetros no son válidos.")
    page = page or Page()
    items, following = page_of_videos(page, wanted, voter_id=voter_id)
    response = jsonify(items)
    if following is not None:
        if len(items) < page.limit:
            page = replace(page, way=Way.CURSOR)  # what was looked at ends in the middle of this page
        paging.link_to_next(response, page, max_offset=MAX_VIDEO_OFFSET, cursor=following, kept=_FILTERS)
    return response


def requested_videos(sent: Mapping[str, str], *, words: str, city: str, order: str) -> Wanted:
    """Return which videos a query asks for by parameters of these names; Invalid for an order that is none."""
    try:
        chosen = Order(sent.get(order, Order.NEWEST))
    except ValueError:
        text = f"Debe ser {' o '.join(Order)}."
        raise Invalid(text, fields={order: text}) from None
    asked = search.words(sent.get(words, ""))[: search.MAX_WORDS]
    return Wanted(words=tuple(asked), city=texts.folded(sent.get(city, "")) or None, order=chosen)


@bp.post("/videos/<video_id>/vote")
@signed_in
def vote(video_id: str) -> ResponseReturnValue:
    with dependencies().engine.begin() as connection:
        voting.cast_vote(
            connection,
            voter_id=current_user_id(),
            video_id=videos.parse_id(video_id),
            address=hashed_address(),
            limits=dependencies().abuse_limits,
        )
    return {"message": "Voto registrado exitosamente."}


@bp.get("/rankings")
@cached_response
def rankings() -> Response:
    page = (
        paging.requested_page(request.args, ways=(Way.POSITIONS, Way.PAGE, Way.OFFSET), max_offset=MAX_PLACE_OFFSET)
        or Page()
    )
    city = texts.folded(request.args.get("city", "")) or None
    with dependencies().engine.begin() as connection:
        places = voting.ranking(connection, limit=page.limit, offset=page.offset, city=city)
    return jsonify([_place(place) for place in places])


def page_of_videos(
    page: Page, wanted: Wanted, *, voter_id: int | None = None
) -> tuple[list[dict[str, object]], str | None]:
    """Return a page of videos as everybody sees them, or this voter, and the cursor of the next one."""
    with dependencies().engine.begin() as connection:
        found, following = videos.public_page(
            connection, limit=page.limit, offset=page.offset, after=page.after, wanted=wanted
        )
        items = [item(video) for video in found]
        if voter_id is not None and found:
            voted = videos.votes_of(connection, voter_id=voter_id, video_ids=[video.id for video in found])
            for video, shown in zip(found, items, strict=True):
                shown["voted"] = video.id in voted
    return items, following.to_text() if following is not None else None


def _place(place: voting.Place) -> dict[str, object]:
    return {"position": place.position, "username": place.username, "city": place.city, "votes": place.votes}


def item(video: videos.Columns) -> dict[str, object]:
    """Return a video as everybody sees it."""
    link = dependencies().storage.published_link
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
