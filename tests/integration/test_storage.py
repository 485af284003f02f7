import io
import os

import pytest
import requests

from anb.storage import ObjectMissing


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

    with storage.open("k") as file:
        assert file.seek(0, os.SEEK_END) == len(content)
        file.seek(250_000)
        assert file.read(100) == content[250_000:250_100]
        file.seek(0)
        assert file.read() == content
        assert file.read(1) == b""


def test_an_empty_object_opens_as_an_empty_file(storage):
    put(storage, "k", b"")

    with storage.open("k") as file:
        assert file.seek(0, os.SEEK_END) == 0
        assert file.read() == b""


def test_deleting_takes_everything_below_a_prefix_and_nothing_else(storage, keys):
    for key in ("processed/1/1.mp4", "processed/1/2.mp4", "processed/10/1.mp4"):
        put(storage, key, b"x")

    storage.delete(["processed/1/", "uploads/1/"])

    assert keys() == {"processed/10/1.mp4"}


def test_a_link_lets_anybody_read_one_object(storage):
    put(storage, "k", b"content")

    assert requests.get(storage.link("k"), timeout=5).content == b"content"


def test_a_forged_link_is_refused(storage):
    put(storage, "k", b"content")
    put(storage, "other", b"secret")

    forged = storage.link("k").replace("/k?", "/other?")

    assert requests.get(forged, timeout=5).status_code == 403


def test_an_upload_form_stores_a_file_up_to_its_limit(storage):
    form = storage.upload_form("k", content_type="video/mp4", largest_bytes=10)

    small = requests.post(form.url, data=form.fields, files={"file": b"x" * 10}, timeout=5)
    assert small.status_code in {200, 201, 204}
    large = requests.post(form.url, data=form.fields, files={"file": b"x" * 11}, timeout=5)
    assert large.status_code == 400
    assert storage.size_bytes("k") == 10
