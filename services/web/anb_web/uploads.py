"""`/api/videos/upload` and `/api/videos/uploads`: a video through this server, or straight to the object store."""

import logging
import os
from typing import BinaryIO, cast
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError

from anb import relay, videos
from anb.errors import Invalid
from anb.jobs import Job, SendFailed
from anb.models import Status
from anb.storage import MP4, ObjectMissing, source_key
from anb_web.parts import parts
from anb_web.requests import json_object, request_id
from anb_web.tokens import current_user_id, signed_in

bp = Blueprint("uploads", __name__, url_prefix="/api/videos")

log = logging.getLogger(__name__)


@bp.post("/upload")
@signed_in
def upload() -> ResponseReturnValue:
    """Take a video whole, as multipart/form-data."""
    key = _idempotency_key()
    if done := _uploaded_before(key):
        return _accepted(done)
    title, file, size_bytes = _form()
    videos.check_file(file, size_bytes=size_bytes)
    video_id, complete = _reserve(title, key)
    if not complete:
        file.seek(0)
        parts().storage.put(source_key(video_id), file, content_type=MP4)
        _accept(video_id)
    return _accepted(video_id)


@bp.post("/uploads")
@signed_in
def begin_direct_upload() -> ResponseReturnValue:
    """Hand out a form that uploads straight to the object store, past this server."""
    key = _idempotency_key()
    sent = json_object()
    title, size_bytes = videos.check_title(sent.get("title")), sent.get("size")
    if isinstance(size_bytes, float) and size_bytes.is_integer():
        size_bytes = int(size_bytes)  # in JSON 7.0 and 7 are the same number
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool):
        raise Invalid("El tamaño no es válido.", fields={"size": "Debe ser un número entero de bytes."})
    try:
        videos.check_size(size_bytes)
    except Invalid as refusal:
        raise Invalid(refusal.message, fields={"size": refusal.message}) from refusal
    video_id, complete = _reserve(title, key)
    if complete:
        return _accepted(video_id)
    form = parts().storage.upload_form(source_key(video_id), content_type=MP4, largest_bytes=videos.LARGEST_BYTES)
    return {"video_id": str(video_id), "url": form.url, "fields": form.fields}, 201


@bp.post("/uploads/<video_id>/complete")
@signed_in
def complete_direct_upload(video_id: str) -> ResponseReturnValue:
    """Check what arrived in the object store and accept it, as a multipart upload is checked and accepted."""
    parsed = videos.parse_id(video_id)
    with parts().engine.connect() as connection:
        video = videos.find_reserved(connection, owner_id=current_user_id(), video_id=parsed)
    if video.status == Status.AWAITING_UPLOAD:
        _check_stored(parsed)
        _accept(parsed)
    return _accepted(parsed)


def _check_stored(video_id: UUID) -> None:
    key = source_key(video_id)
    try:
        with parts().storage.open(key) as file:
            videos.check_file(file, size_bytes=file.seek(0, os.SEEK_END))
    except ObjectMissing:
        text = "El archivo todavía no ha llegado al almacenamiento."
        raise Invalid(text, fields={"video_file": text}) from None


def _idempotency_key() -> str | None:
    return videos.check_idempotency_key(request.headers.get("Idempotency-Key"))


def _uploaded_before(key: str | None) -> UUID | None:
    if key is None:
        return None
    with parts().engine.connect() as connection:
        return videos.reserved_by(connection, owner_id=current_user_id(), idempotency_key=key)


def _form() -> tuple[str, BinaryIO, int]:
    """Return title, file and its size; Invalid names both fields when both are wrong."""
    files, wrong = request.files.getlist("video_file"), {}
    if len(files) != 1:
        wrong["video_file"] = "Envía un archivo." if files else "Este campo es obligatorio."
    try:
        title = videos.check_title(request.form.get("title"))
    except Invalid as refusal:
        wrong |= refusal.fields
    if wrong:
        raise Invalid("Los datos enviados no son válidos.", fields=wrong)
    file = cast("BinaryIO", files[0].stream)
    return title, file, file.seek(0, os.SEEK_END)


def _reserve(title: str, key: str | None) -> tuple[UUID, bool]:
    with parts().engine.begin() as connection:
        return videos.reserve(
            connection, owner_id=current_user_id(), title=title, idempotency_key=key, request_id=request_id()
        )


def _accept(video_id: UUID) -> None:
    """Make the video durable, then ring for a worker; when the ring fails, the relay repeats it."""
    with parts().engine.begin() as connection:
        accepted = videos.accept(connection, video_id=video_id)
    if not accepted:
        # By an earlier request with the same key, or because the reservation is gone: only the first is a success
        with parts().engine.connect() as connection:
            videos.find_own(connection, owner_id=current_user_id(), video_id=video_id)
        return
    job = Job(video_id=video_id, request_id=request_id())
    try:
        parts().jobs.send([job])
        with parts().engine.begin() as connection:
            relay.sent(connection, job)
    except (BotoCoreError, ClientError, SendFailed, DBAPIError) as error:
        log.warning("could not ring", extra={"video_id": str(video_id), "error": str(error)})


def _accepted(video_id: UUID) -> ResponseReturnValue:
    return {
        "message": "Video subido correctamente. Procesamiento en curso.",
        "task_id": str(video_id),
        "video_id": str(video_id),
    }, 201
