import base64
import io
import json
import os
from datetime import UTC, datetime

import pytest
import requests

from anb import videos
from anb.errors import Invalid
from anb.storage import ObjectChanged, ObjectMissing
from tests.boxes import FTYP, box, file_of, recording, video

MIB = 1024 * 1024


def put(storage, key, content):
    storage.put(key, io.BytesIO(content), content_type="video/mp4")


def test_an_object_comes_back_as_it_was(storage, tmp_path):
    put(storage, "uploads/1/source.mp4", b"content")

    storage.download("uploads/1/source.mp4", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"content"
    assert storage.size_bytes("uploads/1/source.mp4") == 7


def test_a_missing_object_is_told_apart_from_a_store_that_is_away(storage, tmp_path):
    with pytest.raises(ObjectMissing):
        storage.download("uploads/1/source.mp4", tmp_path / "copy")
    with pytest.raises(ObjectMissing):
        storage.size_bytes("uploads/1/source.mp4")
    with pytest.raises(ObjectMissing):
        storage.open("uploads/1/source.mp4")


def test_an_open_object_reads_and_seeks_like_a_file(storage):
    content = os.urandom(300_000)
    put(storage, "k", content)

    opened = storage.open("k")
    with opened.file as file:
        assert opened.size_bytes == file.seek(0, os.SEEK_END) == len(content)
        file.seek(250_000)
        assert file.read(100) == content[250_000:250_100]
        file.seek(0)
        assert file.read() == content
        assert file.read(1) == b""


def check(storage, content):
    """Look at a stored file as `complete` does."""
    put(storage, "k", content)

    def look():
        opened = storage.open("k")
        return videos.check_file(opened.file, size_bytes=opened.size_bytes)

    return look


def test_a_recording_of_a_minute_in_short_fragments_is_looked_at_in_40_requests(storage, requests_sent):
    look = check(storage, recording(fragments=600, frames=3, fragment_bytes=165_000))
    requests_sent.clear()

    assert look().duration_seconds == 60
    assert 0 < len(requests_sent) <= 40


def test_a_file_of_thousands_of_empty_boxes_is_looked_at_in_40_requests(storage, requests_sent):
    look = check(storage, FTYP + box(b"free", bytes(10_000)) * 9990)
    requests_sent.clear()

    with pytest.raises(Invalid):
        look()
    assert 0 < len(requests_sent) <= 40


def test_a_file_with_its_index_at_the_end_is_looked_at_in_4_requests(storage, requests_sent):
    media = box(b"mdat", bytes(20 * MIB))
    look = check(storage, file_of(video(deltas=((600, 1001),)), media=media))
    requests_sent.clear()

    assert look().frames == 600
    assert 0 < len(requests_sent) <= 4


def test_an_empty_object_opens_as_an_empty_file(storage):
    put(storage, "k", b"")

    with storage.open("k").file as file:
        assert file.seek(0, os.SEEK_END) == 0
        assert file.read() == b""


def test_deleting_takes_everything_below_a_prefix_and_nothing_else(storage, keys):
    for key in ("processed/1/1.mp4", "processed/1/2.mp4", "processed/10/1.mp4"):
        put(storage, key, b"x")

    storage.delete(["processed/1/", "uploads/1/"])

    assert keys() == {"processed/10/1.mp4"}


@pytest.mark.parametrize(
    ("is_published", "kept"), [(True, "public, max-age=31536000, immutable"), (False, "private")]
)
def test_caches_keep_for_ever_what_is_published_and_nothing_else(storage, is_published, kept):
    storage.put("k", io.BytesIO(b"x"), content_type="video/mp4", is_published=is_published)

    assert requests.get(storage.link("k"), timeout=5).headers["Cache-Control"] == kept


def test_a_link_lets_anybody_read_one_object(storage):
    put(storage, "k", b"content")

    assert requests.get(storage.link("k"), timeout=5).content == b"content"


def test_a_forged_link_is_refused(storage):
    put(storage, "k", b"content")
    put(storage, "other", b"secret")

    forged = storage.link("k").replace("/k?", "/other?")

    assert requests.get(forged, timeout=5).status_code == 403


def test_an_upload_form_works_for_ten_minutes(storage):
    fields = storage.upload_form("k", content_type="video/mp4", size_bytes=10).fields

    expires = datetime.fromisoformat(json.loads(base64.b64decode(fields["policy"]))["expiration"])
    signed = datetime.strptime(fields["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert (expires - signed).total_seconds() == pytest.approx(600, abs=1)


def test_an_upload_form_is_for_one_key_and_one_type(storage):
    form = storage.upload_form("k", content_type="video/mp4", size_bytes=10)

    def status(**changed):
        fields = form.fields | changed
        return requests.post(form.url, data=fields, files={"file": b"x" * 10}, timeout=5).status_code

    assert status() in {200, 201, 204}
    assert [status(key="other"), status(**{"Content-Type": "text/html"})] == [403, 403]


def test_an_upload_form_stores_files_of_its_size_alone(storage):
    form = storage.upload_form("k", content_type="video/mp4", size_bytes=10)

    def status(content):
        return requests.post(form.url, data=form.fields, files={"file": content}, timeout=5).status_code

    assert status(b"x" * 10) in {200, 201, 204}
    assert [status(b"y" * size) for size in (9, 11)] == [400, 400]
    assert storage.open("k").file.read() == b"x" * 10


def test_what_was_opened_is_read_as_it_was_or_not_at_all(storage):
    put(storage, "k", b"a" * 300_000)
    opened = storage.open("k")
    put(storage, "k", b"b" * 300_000)

    opened.file.seek(200_000)
    with pytest.raises(ObjectChanged):
        opened.file.read(1)
    storage.remove("k")
    with pytest.raises(ObjectMissing):
        opened.file.read(1)


def test_a_copy_is_of_what_was_opened_or_is_not_made(storage, keys):
    put(storage, "k", b"first")
    opened = storage.open("k")
    storage.copy(opened, "copy", content_type="video/mp4")
    put(storage, "k", b"other")

    with pytest.raises(ObjectChanged):
        storage.copy(opened, "late", content_type="video/mp4")
    storage.remove("k")
    with pytest.raises(ObjectMissing):
        storage.copy(opened, "late", content_type="video/mp4")
    assert storage.open("copy").file.read() == b"first"
    assert keys() == {"copy"}


def test_removing_takes_one_object_and_none_that_begins_like_it(storage, keys):
    put(storage, "k", b"x")
    put(storage, "k1", b"x")

    storage.remove("k")
    storage.remove("k")

    assert keys() == {"k1"}
