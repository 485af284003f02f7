"""`/api/public`: what everybody sees, and voting."""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from anb import texts, videos, voting
from anb.storage import processed_key, thumbnail_key
from anb_web import paging
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


@bp.get("/videos")
@cached_response
def list_public() -> Response:
    page = (
        paging.requested_page(request.args, ways=(Way.CURSOR, Way.PAGE, Way.OFFSET), max_offset=MAX_VIDEO_OFFSET)
        or Page()
    )
    items, following = page_of_videos(page)
    response = jsonify(items)
    if following is not None:
        paging.link_to_next(response, page, max_offset=MAX_VIDEO_OFFSET, cursor=following)
    return response


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


def page_of_videos(page: Page) -> tuple[list[dict[str, object]], str | None]:
    """Return a page of videos as everybody sees them, and the cursor of the next one."""
    with dependencies().engine.begin() as connection:
        found, following = videos.public_page(connection, limit=page.limit, offset=page.offset, after=page.after)
    items = [item(video) for video in found]
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
