"""`/api/videos`: a player's own videos."""

from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from anb import videos
from anb.models import Status, Video
from anb.storage import prefixes, processed_key, source_key
from anb_web.formats import utc
from anb_web.parts import parts
from anb_web.tokens import current_user_id, signed_in

bp = Blueprint("videos", __name__, url_prefix="/api/videos")

# The client's view: being worked on is still waiting for the result
_SHOWN_STATUS = {Status.PROCESSING: Status.UPLOADED}


class VideoId(BaseConverter):
    """A segment of a path that can be an id: not the name of another resource, which has methods of its own."""

    regex = r"(?!uploads?\Z)[^/]+"


@bp.get("")
@signed_in
def list_own() -> ResponseReturnValue:
    with parts().sessions() as session:
        found = videos.list_own(session, owner_id=current_user_id())
    return jsonify([_item(video.id, video) for video in found])


@bp.get("/<video_id:video_id>")
@signed_in
def detail(video_id: str) -> ResponseReturnValue:
    parsed = videos.parse_id(video_id)
    with parts().engine.connect() as connection:
        video = videos.find_own(connection, owner_id=current_user_id(), video_id=parsed)
    return {
        **_item(parsed, video),
        "original_url": parts().storage.link(source_key(parsed, video.source)),
        "votes": video.votes,
    }


@bp.delete("/<video_id:video_id>")
@signed_in
def delete(video_id: str) -> ResponseReturnValue:
    parsed = videos.parse_id(video_id)
    with parts().sessions.begin() as session:
        videos.delete_own(session, owner_id=current_user_id(), video_id=parsed)
    parts().storage.delete(prefixes(parsed))
    return {"message": "El video ha sido eliminado exitosamente.", "video_id": str(parsed)}


def _item(video_id: UUID, video: Video | videos.Columns) -> dict[str, Any]:
    item = {
        "video_id": str(video_id),
        "title": video.title,
        "status": _SHOWN_STATUS.get(Status(video.status), video.status),
        "uploaded_at": utc(video.uploaded_at),
    }
    if video.status == Status.PROCESSED:
        item["processed_at"] = utc(video.processed_at)
        item["processed_url"] = parts().storage.link(processed_key(video_id, video.attempt))
    if video.status == Status.FAILED:
        item["error"] = video.error
    return item
