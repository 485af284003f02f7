"""Requests that nobody thought of, and what they have found so far."""

import io
import subprocess
import sys

import pytest


def test_every_answer_to_generated_requests_is_as_described():
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.fuzz.run", "--examples", "8"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


class TestFindings:
    @pytest.mark.parametrize("path", ["/api/videos/upload", "/api/videos/uploads", "/api/auth/login", "/nowhere"])
    def test_an_answer_leaves_nothing_of_the_body_unread(self, client, path):
        # gunicorn would close the connection on what is left, and nginx would lose the answer
        body = io.BytesIO(b"x" * 1_000_000)

        assert client.post(path, input_stream=body, content_length=1_000_000).status_code in {400, 401, 404}
        assert body.read() == b""

    @pytest.mark.parametrize("path", ["/api/videos/upload", "/api/videos/uploads"])
    def test_the_name_of_a_resource_is_no_id(self, client, path):
        assert client.get(path).status_code == 405
        assert set(client.options(path).headers["Allow"].split(", ")) == {"POST", "OPTIONS"}

    def test_a_size_may_be_written_with_a_decimal_point(self, client, signed_in, make_user):
        sent = {"title": "Mi mejor tiro", "size": 1000.0}

        assert client.post("/api/videos/uploads", json=sent, headers=signed_in(make_user())).status_code == 201
