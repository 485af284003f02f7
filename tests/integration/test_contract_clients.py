"""What clients of all kinds send: other spellings of the same request, which change nothing."""

import json

import pytest

from anb.models import Status
from anb_web.tokens import issue
from tests.people import registration

PAGE = "text/html,application/xhtml+xml"


@pytest.fixture
def player(make_user):
    return make_user()


@pytest.fixture
def token(app, player):
    with app.app_context():
        return issue(player.id)


@pytest.fixture
def public(make_video):
    return make_video(status=Status.PROCESSED)


class TestScheme:
    @pytest.mark.parametrize("before", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "])
    def test_the_scheme_is_read_in_any_case(self, client, token, before):
        assert client.get("/api/videos", headers={"Authorization": f"{before}{token}"}).status_code == 200

    @pytest.mark.parametrize("before", ["", "Bearer", "bearer:", "Token ", "JWT ", "Basic ", "Digest "])
    def test_no_other_scheme_is_taken_for_it(self, client, token, before):
        response = client.get("/api/videos", headers={"Authorization": f"{before}{token}"})

        assert (response.status_code, response.json["error"]) == (401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"


class TestSlashes:
    @pytest.mark.parametrize(
        "path", ["/api/videos", "/api/public/videos", "/api/public/rankings", "/api/health", "/healthz", "/readyz"]
    )
    def test_a_slash_at_the_end_names_the_same_resource(self, client, signed_in, player, path):
        without, with_one = (client.get(address, headers=signed_in(player)) for address in (path, f"{path}/"))

        assert (without.status_code, without.json) == (with_one.status_code, with_one.json)
        assert with_one.status_code == 200
        assert client.head(f"{path}/", headers=signed_in(player)).status_code == 200
        assert client.options(f"{path}/").headers["Allow"] == client.options(path).headers["Allow"]

    def test_no_method_and_no_body_is_lost_to_it(self, client, signed_in, player, public, make_video):
        sent = registration()
        mine = make_video(owner=player)

        assert client.post("/api/auth/signup/", json=sent).status_code == 201
        login = {"email": sent["email"], "password": sent["password1"]}
        assert client.post("/api/auth/login/", json=login).status_code == 200
        headers = signed_in(player)
        assert client.post(f"/api/public/videos/{public.id}/vote/", headers=headers).status_code == 200
        begun = client.post("/api/videos/uploads/", json={"title": "t", "size": 7}, headers=headers)
        assert begun.status_code == 201
        completed = client.post(f"/api/videos/uploads/{begun.json['video_id']}/complete/", headers=headers)
        assert completed.json["fields"].keys() == {"video_file"}
        assert client.get(f"/api/videos/{mine.id}/", headers=headers).json["video_id"] == str(mine.id)
        assert client.delete(f"/api/videos/{mine.id}/", headers=headers).status_code == 200

    @pytest.mark.parametrize("path", ["/api/videos/upload/", "/api/videos/uploads/"])
    def test_the_name_of_a_resource_is_no_id_with_a_slash_either(self, client, path):
        response = client.get(path)

        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}

    @pytest.mark.parametrize(
        "path", ["/ranking", "/registro", "/ingresar", "/subir", "/mis-videos", "/docs", "/openapi.json"]
    )
    def test_pages_have_it_too(self, client, path):
        assert client.get(f"{path}/").data == client.get(path).data

    @pytest.mark.parametrize("accepted", ["*/*", PAGE])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    @pytest.mark.parametrize(
        "path",
        ["//api//videos", "/api//videos", "//api/videos", "/api/videos//", "/api/public/videos//vote", "//ranking"],
    )
    def test_repeated_slashes_answer_in_the_error_shape(self, client, path, method, accepted):
        # In the environment: the client would take what stands between the slashes for a host
        response = client.open(method=method, headers={"Accept": accepted}, environ_overrides={"PATH_INFO": path})

        assert response.status_code == 404
        assert response.json == {"error": "not_found", "message": "No encontrado.", "detail": "No encontrado."}

    def test_the_folder_of_the_api_is_no_page(self, client):
        assert client.get("/api", headers={"Accept": PAGE}).mimetype == "application/json"


class TestBodies:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    @pytest.mark.parametrize(
        "kind",
        ["application/json", "application/json; charset=UTF-8", "application/json;charset=latin1", "text/plain", ""],
    )
    def test_json_is_read_in_each_of_its_encodings_whatever_it_is_called(self, client, encoding, kind):
        sent = registration()

        response = client.post("/api/auth/signup", data=json.dumps(sent).encode(encoding), content_type=kind)

        assert (response.status_code, response.json["city"]) == (201, "Bogotá")

    @pytest.mark.parametrize(
        "body",
        [{}, {"data": b""}, {"json": {}}, {"json": None}, {"data": b"{}"}, {"data": {"a": "b"}}, {"data": b"\xff"}],
    )
    def test_a_vote_needs_no_body_and_minds_none(self, client, signed_in, player, public, body):
        response = client.post(f"/api/public/videos/{public.id}/vote", headers=signed_in(player), **body)

        assert response.status_code == 200

    @pytest.mark.parametrize("accepted", ["", "*/*", "text/html", "application/xml", "image/png;q=0.5", "nonsense"])
    @pytest.mark.parametrize("path", ["/api/public/videos", "/api/public/rankings", "/api/videos", "/api/nowhere"])
    def test_the_api_speaks_json_whatever_is_accepted(self, client, path, accepted):
        assert client.get(path, headers={"Accept": accepted}).mimetype == "application/json"

    @pytest.mark.parametrize("path", ["/api/public/videos", "/api/public/rankings"])
    def test_head_answers_as_get_without_the_body(self, client, public, path):  # noqa: ARG002 something is in the list
        head, get = client.head(path), client.get(path)

        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
