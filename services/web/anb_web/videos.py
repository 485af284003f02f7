"""`/api/videos`: a player's own videos."""

from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from anb import lifecycle, videos
from anb.models import Status
from anb.storage import prefixes, processed_key, source_key
from anb_web import paging
from anb_web.dependencies import dependencies
from anb_web.formats import utc
from anb_web.paging import Way
from anb_web.tokens import current_user_id, signed_in

bp = Blueprint("videos", __name__, url_prefix="/api/videos")

MAX_VIDEO_OFFSET = 10_000  # players have fewer

# The client's view: being worked on is still waiting for the result
_SHOWN_STATUS = {Status.PROCESSING: Status.UPLOADED}


def location(video_id: UUID) -> dict[str, str]:
    """Return the header that says where the video is, or will be once its upload is complete."""
    return {"Location": url_for("videos.detail", video_id=video_id)}


class VideoId(BaseConverter):
    """A segment of a path that can be an id: not the name of another resource, which has methods of its own."""

    regex = r"(?!uploads?\Z)[^/]+"
    part_isolating = True  # it matches no slash, whatever the expression looks like


@bp.get("")
@signed_in
def list_own() -> ResponseReturnValue:
    page = paging.requested_page(request.args, ways=(Way.PAGE, Way.OFFSET), max_offset=MAX_VIDEO_OFFSET)
    with dependencies().engine.begin() as connection:
        if page is None:  # what the list is to most
            return jsonify([_item(v.id, v) for v in videos.list_own(connection, owner_id=current_user_id())])
        found = videos.list_own(connection, owner_id=current_user_id(), limit=page.limit + 1, offset=page.offset)
    response = jsonify([_item(video.id, video) for video in found[: page.limit]])
    if len(found) > page.limit:
        paging.link_to_next(response, page, max_offset=MAX_VIDEO_OFFSET)
    return response


@bp.get("/<video_id:video_id>")
@signed_in
def detail(video_id: str) -> ResponseReturnValue:
    parsed = videos.parse_id(video_id)
    with dependencies().engine.begin() as connection:
        video = videos.find_own(connection, owner_id=current_user_id(), video_id=parsed)
    return {
        **_item(parsed, video),
        "original_url": dependencies().storage.link(source_key(parsed, video.source)),
        "votes": video.votes,
    }


@bp.delete("/<video_id:video_id>")
@signed_in
def delete(video_id: str) -> ResponseReturnValue:
    parsed = videos.parse_id(video_id)
    with dependencies().engine.begin() as connection:
        lifecycle.delete_own(connection, owner_id=current_user_id(), video_id=parsed)
    dependencies().storage.delete(prefixes(parsed))
    return {"message": "El video ha sido eliminado exitosamente.", "video_id": str(parsed)}


def _item(video_id: UUID, video: videos.Columns) -> dict[str, Any]:
    item = {
        "video_id": str(video_id),
        "title": video.title,
        "status": _SHOWN_STATUS.get(video.status, video.status),
        "uploaded_at": utc(video.uploaded_at),
    }
    if video.status == Status.PROCESSED:
        item["processed_at"] = utc(video.processed_at)
        item["processed_url"] = dependencies().storage.published_link(processed_key(video_id, video.attempt))
    if video.status == Status.FAILED:
        item["error"] = video.error
    return item
