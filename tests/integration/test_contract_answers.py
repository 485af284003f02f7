"""What answers say beside their content: every wrong field, where the new thing is, how long to keep it."""

import io
from uuid import UUID, uuid4

import pytest
import requests

from anb.models import Status
from tests.integration.described import Description
from tests.people import registration


@pytest.fixture
def bearer(signed_in, make_user):
    return signed_in(make_user())


class TestFields:
    @pytest.mark.parametrize(
        ("changes", "wrong"),
        [
            ({"city": ""}, {"city"}),
            ({"email": "x"}, {"email"}),
            ({"city": None, "email": 7}, {"city", "email"}),
            ({"password1": "short", "password2": "short"}, {"password1"}),
            ({"password1": "short", "password2": "other"}, {"password1", "password2"}),
            ({"password1": None, "password2": None}, {"password1", "password2"}),
            ({"password2": None}, {"password2"}),
            ({"first_name": "", "password2": "Other12345"}, {"first_name", "password2"}),
        ],
    )
    def test_a_sign_up_is_told_everything_that_is_wrong(self, client, changes, wrong):
        body = client.post("/api/auth/signup", json={**registration(), **changes}).json

        assert set(body["fields"]) == wrong

    @pytest.mark.parametrize(("title", "wrong"), [("t", {"video_file"}), ("", {"title", "video_file"})])
    def test_an_upload_is_told_of_title_and_content_at_once(self, client, bearer, title, wrong):
        form = {"title": title, "video_file": (io.BytesIO(b"just text"), "video.mp4")}

        body = client.post("/api/videos/upload", data=form, headers=bearer).json

        assert set(body["fields"]) == wrong

    @pytest.mark.parametrize(
        ("sent", "wrong"),
        [({}, {"title", "size"}), ({"title": "t", "size": 0}, {"size"}), ({"size": 1}, {"title"})],
    )
    def test_a_reservation_is_told_of_title_and_size_at_once(self, client, bearer, sent, wrong):
        assert set(client.post("/api/videos/uploads", json=sent, headers=bearer).json["fields"]) == wrong

    def test_one_wrong_field_speaks_for_the_request(self, client, bearer):
        refused = [
            client.post("/api/auth/signup", json=registration(email="x")),
            client.post("/api/videos/uploads", json={"title": "", "size": 7}, headers=bearer),
            client.post("/api/videos/uploads", json={"title": "t"}, headers=bearer),
            client.post("/api/videos/uploads", json={}, headers={**bearer, "Idempotency-Key": "x" * 300}),
            client.get("/api/public/videos?limit=0"),
            client.get("/api/public/videos?cursor=x"),
            client.get("/api/public/rankings?page=x"),
            client.get("/api/public/rankings?from=2&to=1"),
            client.get("/api/videos?offset=x", headers=bearer),
        ]

        for body in (response.json for response in refused):
            (sentence,) = body["fields"].values()
            assert (body["message"], body["detail"]) == (sentence, sentence)

    def test_several_wrong_fields_do_not(self, client):
        body = client.get("/api/public/rankings?from=x&to=y").json

        assert body["message"] == "Los parámetros no son válidos."
        assert set(body["fields"]) == {"from", "to"}

    def test_the_examples_in_the_description_say_it_so_too(self):
        said = [
            (example["value"]["message"], *example["value"]["fields"].values())
            for _, content in Description.ours().contents()
            for example in content.get("examples", {}).values()
            if example["value"].get("error") == "invalid" and len(example["value"].get("fields", {})) == 1
        ]

        assert said
        assert [(message, sentence) for message, sentence in said if message != sentence] == []


class TestLocation:
    def test_an_upload_tells_where_its_video_is(self, client, bearer, clips):
        form = requests.Request(
            "POST", "http://x", data={"title": "t"}, files={"video_file": ("a.mp4", clips["good"].read_bytes())}
        ).prepare()
        headers = {**bearer, "Content-Type": form.headers["Content-Type"], "Idempotency-Key": str(uuid4())}
        first, second = (client.post("/api/videos/upload", data=form.body, headers=headers) for _ in range(2))

        assert first.headers["Location"] == second.headers["Location"] == f"/api/videos/{first.json['video_id']}"
        assert client.get(first.headers["Location"], headers=bearer).json["video_id"] == first.json["video_id"]

    def test_a_direct_upload_tells_where_its_video_will_be(self, client, bearer, clips, upload_to):
        begun = client.post(
            "/api/videos/uploads", json={"title": "t", "size": clips["good"].stat().st_size}, headers=bearer
        )
        location = begun.headers["Location"]
        assert client.get(location, headers=bearer).status_code == 404
        upload_to(begun.json, clips["good"])

        completed = client.post(f"/api/videos/uploads/{begun.json['video_id']}/complete", headers=bearer)

        assert completed.headers["Location"] == location == f"/api/videos/{begun.json['video_id']}"
        assert client.get(location, headers=bearer).status_code == 200

    @pytest.fixture
    def upload_to(self):
        def post(form, path):
            with path.open("rb") as file:
                assert requests.post(form["url"], data=form["fields"], files={"file": file}, timeout=10).ok

        return post

    def test_a_new_player_is_led_to_their_videos(self, client):
        sent = registration()
        location = client.post("/api/auth/signup", json=sent).headers["Location"]
        login = {"email": sent["email"], "password": sent["password1"]}
        token = client.post("/api/auth/login", json=login).json["access_token"]

        assert location == "/api/videos"
        assert client.get(location, headers={"Authorization": f"Bearer {token}"}).json == []


class TestCaching:
    @pytest.mark.parametrize("path", ["/api/public/videos", "/api/public/rankings", "/", "/ranking"])
    def test_what_everybody_sees_may_be_kept_for_a_second(self, client, make_video, path):
        make_video(status=Status.PROCESSED)

        assert [client.get(path).headers["Cache-Control"] for _ in range(2)] == ["public, max-age=1"] * 2

    @pytest.mark.parametrize(
        "path",
        ["/api/videos", f"/api/videos/{UUID(int=7)}", "/api/public/videos?limit=0", "/api/nowhere", "/api/health"],
    )
    def test_everything_else_of_the_api_is_not(self, client, bearer, path):
        assert client.get(path).headers["Cache-Control"] == "no-store"
        assert client.get(path, headers=bearer).headers["Cache-Control"] == "no-store"
