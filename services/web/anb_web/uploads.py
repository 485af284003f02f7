"""`/api/videos/upload` and `/api/videos/uploads`: a video through this server, or straight to the object store."""

import logging
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from anb import lifecycle, relay, videos
from anb.errors import Invalid, WrongFields
from anb.lifecycle import Reservation
from anb.storage import MP4, ObjectChanged, ObjectMissing, incoming_key, new_source, source_key
from anb_web import bodies, bulkheads
from anb_web.dependencies import dependencies
from anb_web.middleware import json_object, request_id
from anb_web.tokens import current_user_id, signed_in
from anb_web.videos import location

bp = Blueprint("uploads", __name__, url_prefix="/api/videos")
bodies.limit(bp)

log = logging.getLogger(__name__)


@bp.post("/upload")
@signed_in
def upload() -> ResponseReturnValue:
    """Take a video whole, as multipart/form-data."""
    key = _idempotency_key()
    if done := _uploaded_before(key):
        return _answer(done)
    title, file, size_bytes = _form()
    with bulkheads.uploads():
        return _take(title, file, size_bytes=size_bytes, key=key)


def _take(title: str, file: BinaryIO, *, size_bytes: int, key: str | None) -> ResponseReturnValue:
    reservation = _reserve(title, size_bytes, key)
    if not reservation.is_uploaded:
        file.seek(0)
        source = new_source()
        dependencies().storage.put(source_key(reservation.video_id, source), file, content_type=MP4)
        _complete(reservation.video_id, source, size_bytes)
    return _answer(reservation.video_id)


@bp.post("/uploads")
@signed_in
def begin_direct_upload() -> ResponseReturnValue:
    """Hand out a form that uploads straight to the object store, past this server."""
    key = _idempotency_key()
    title, size_bytes = _title_and_size(json_object())
    reservation = _reserve(title, size_bytes, key)
    if reservation.is_uploaded:
        return _answer(reservation.video_id)
    form = dependencies().storage.upload_form(
        incoming_key(reservation.video_id), content_type=MP4, size_bytes=reservation.size_bytes
    )
    begun = {"video_id": str(reservation.video_id), "url": form.url, "fields": form.fields}
    return begun, 201, location(reservation.video_id)


@bp.post("/uploads/<video_id>/complete")
@signed_in
def complete_direct_upload(video_id: str) -> ResponseReturnValue:
    """Check what arrived in the object store and take it, as a multipart upload is checked and taken."""
    parsed = videos.parse_id(video_id)
    if not _is_uploaded(parsed):
        try:
            source, size_bytes = _keep_what_arrived(parsed)
        except Invalid:
            # Of two requests at once, the other may have taken the file and cleared it away
            if not _is_uploaded(parsed):
                raise
        else:
            _complete(parsed, source, size_bytes)
            _tidy(incoming_key(parsed))
    return _answer(parsed)


def _is_uploaded(video_id: UUID) -> bool:
    """Return whether the caller's upload is complete; raise Invalid when its file was refused."""
    with dependencies().engine.begin() as connection:
        return videos.is_uploaded(
            videos.find_own_in_any_state(connection, owner_id=current_user_id(), video_id=video_id)
        )


def _keep_what_arrived(video_id: UUID) -> tuple[str, int]:
    """Check the file and copy just that one to where no form writes; return which copy that is, and its size.

    Its sender may post another file at any moment: then, and while there is none, Invalid tells them, and the
    reservation stays open. A file that is unacceptable ends it.
    """
    source = new_source()
    try:
        opened = dependencies().storage.open(incoming_key(video_id))
        videos.check_file(opened.file, size_bytes=opened.size_bytes)
        dependencies().storage.copy(opened, source_key(video_id, source), content_type=MP4)
    except ObjectMissing:
        raise _not_there("El archivo todavía no ha llegado al almacenamiento.") from None
    except ObjectChanged:
        raise _not_there(
            "El archivo cambió mientras se revisaba. Confirma la subida cuando haya llegado del todo."
        ) from None
    except Invalid as refusal:
        with dependencies().engine.begin() as connection:
            lifecycle.refuse(connection, video_id=video_id, reason=refusal.message)
        _tidy(incoming_key(video_id))
        raise
    return source, opened.size_bytes


def _not_there(text: str) -> Invalid:
    return Invalid(text, fields={"video_file": text})


def _idempotency_key() -> str | None:
    return videos.check_idempotency_key(request.headers.get("Idempotency-Key"))


def _uploaded_before(key: str | None) -> UUID | None:
    if key is None:
        return None
    with dependencies().engine.begin() as connection:
        return videos.find_uploaded_by_key(connection, owner_id=current_user_id(), idempotency_key=key)


def _form() -> tuple[str, BinaryIO, int]:
    """Return title, file and its size, all checked; Invalid names every field that is wrong."""
    wrong = WrongFields()
    with wrong:
        title = videos.check_title(request.form.get("title"))
    with wrong:
        file, size_bytes = _file()
    wrong.refuse("Los datos enviados no son válidos.")
    return title, file, size_bytes


def _file() -> tuple[BinaryIO, int]:
    files = request.files.getlist("video_file")
    if len(files) != 1:
        text = "Envía un archivo." if files else "Este campo es obligatorio."
        raise Invalid(text, fields={"video_file": text})
    file = cast("BinaryIO", files[0].stream)
    size_bytes = file.seek(0, os.SEEK_END)
    videos.check_file(file, size_bytes=size_bytes)
    return file, size_bytes


def _title_and_size(sent: Mapping[str, Any]) -> tuple[str, int]:
    """Return what a reservation needs, checked; Invalid names every field that is wrong."""
    wrong = WrongFields()
    with wrong:
        title = videos.check_title(sent.get("title"))
    with wrong:
        size_bytes = _size(sent.get("size"))
    wrong.refuse("Los datos enviados no son válidos.")
    return title, size_bytes


def _size(sent: object) -> int:
    if isinstance(sent, float) and sent.is_integer():
        sent = int(sent)  # in JSON 7.0 and 7 are the same number
    if not isinstance(sent, int) or isinstance(sent, bool):
        text = "Debe ser un número entero de bytes."
        raise Invalid(text, fields={"size": text})
    try:
        videos.check_size(sent)
    except Invalid as refusal:
        raise Invalid(refusal.message, fields={"size": refusal.message}) from refusal
    return sent


def _reserve(title: str, size_bytes: int, key: str | None) -> Reservation:
    with dependencies().engine.begin() as connection:
        return lifecycle.reserve(
            connection,
            owner_id=current_user_id(),
            title=title,
            size_bytes=size_bytes,
            idempotency_key=key,
            request_id=request_id(),
            limits=dependencies().upload_limits,
        )


def _complete(video_id: UUID, source: str, size_bytes: int) -> None:
    is_ours = relay.mark_uploaded_and_enqueue(
        dependencies().engine,
        dependencies().jobs,
        video_id=video_id,
        source=source,
        size_bytes=size_bytes,
        request_id=request_id(),
        timings=dependencies().timings,
    )
    if not is_ours:
        # Another request has filled the reservation at the same time, or it is gone: only the first is a success
        _tidy(source_key(video_id, source))
        _is_uploaded(video_id)


def _tidy(key: str) -> None:
    """Remove what nobody needs any more; where that fails, the lifecycle of the bucket or the janitor does it."""
    try:
        dependencies().storage.remove(key)
    except (BotoCoreError, ClientError) as error:
        log.warning("could not remove", extra={"key": key, "error": error})


def _answer(video_id: UUID) -> ResponseReturnValue:
    return (
        {
            "message": "Video subido correctamente. Procesamiento en curso.",
            "task_id": str(video_id),
            "video_id": str(video_id),
        },
        201,
        location(video_id),
    )
