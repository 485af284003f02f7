"""The contract, row by row, against a real database, object store and queue."""

import io
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import jwt
import pytest
import requests
from flask_jwt_extended import create_access_token
from sqlalchemy import select, text

from anb import lifecycle, videos
from anb.lifecycle import finish
from anb.models import Status, Video
from anb.storage import JPEG, source_key, thumbnail_key
from anb.upload_limits import UploadLimits
from anb.voting import tally
from anb_web import create_app
from anb_web.dependencies import Dependencies
from anb_web.settings import WebSettings
from anb_web.tokens import issue
from tests.boxes import FTYP, box
from tests.leases import lease
from tests.people import registration

UNKNOWN = str(UUID(int=7))
SIGN_UP = registration(email="john@example.com")


def is_error(response, status, code=None):
    """Whether the response has the status and the one shape of all errors."""
    body = response.json
    assert response.status_code == status, body
    assert set(body) in ({"error", "message", "detail"}, {"error", "message", "detail", "fields"})
    assert body["message"] == body["detail"]
    if code == "invalid" and len(body.get("fields", {})) == 1:
        assert [body["message"]] == list(body["fields"].values())
    assert code in {None, body["error"]}
    return True


@pytest.fixture
def upload(client, signed_in, clips):
    def send(user, *, clip="good", title="Mi mejor tiro de 3", content=None, headers=None):
        file = ("video.mp4", clips[clip].read_bytes() if content is None else content)
        form = requests.Request("POST", "http://x", data={"title": title}, files={"video_file": file}).prepare()
        sent = {"Content-Type": form.headers["Content-Type"], **signed_in(user), **(headers or {})}
        return client.post("/api/videos/upload", data=form.body, headers=sent)

    return send


class TestSignUp:
    def test_it_creates_an_account(self, client):
        response = client.post("/api/auth/signup", json=SIGN_UP)

        assert response.status_code == 201
        public = {name: SIGN_UP[name] for name in ("first_name", "last_name", "email", "city", "country")}
        body = response.json
        assert body.pop("id").isdigit()
        assert body == {"message": "Usuario creado exitosamente.", **public}

    def test_an_email_that_is_taken_in_another_case_is_refused(self, client):
        client.post("/api/auth/signup", json=SIGN_UP)

        response = client.post("/api/auth/signup", json={**SIGN_UP, "email": "JOHN@EXAMPLE.COM"})

        assert is_error(response, 400)
        assert set(response.json["fields"]) == {"email"}

    def test_passwords_that_differ_are_refused(self, client):
        response = client.post("/api/auth/signup", json={**SIGN_UP, "password2": "Other12345"})

        assert is_error(response, 400, "invalid")
        assert response.json["fields"] == {"password2": "Las contraseñas no coinciden."}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no json",
            b"[]",
            b"null",
            b"7",
            b'"x"',
            b"{",
            b"\xff\xfe",
            b"[" * 50_000,
            b'{"a":' * 20_000,
            b"1" * 9000,
        ],
    )
    @pytest.mark.parametrize("path", ["/api/auth/signup", "/api/auth/login"])
    def test_a_body_that_is_no_json_object_is_refused(self, client, path, body):
        assert is_error(client.post(path, data=body, content_type="application/json"), 400)

    def test_a_huge_json_body_is_refused(self, client):
        assert is_error(client.post("/api/auth/signup", json={**SIGN_UP, "first_name": "x" * 100_000}), 400)

    def test_nobody_makes_themselves_anything_but_a_user(self, client):
        response = client.post("/api/auth/signup", json={**SIGN_UP, "id": 99, "votes": 1000, "is_admin": True})

        assert response.status_code == 201
        assert not {"votes", "is_admin", "password_hash"} & set(response.json)


class TestLogin:
    def test_it_answers_with_a_token_that_works(self, client):
        client.post("/api/auth/signup", json=SIGN_UP)

        response = client.post("/api/auth/login", json={"email": SIGN_UP["email"], "password": SIGN_UP["password1"]})

        assert response.status_code == 200
        body = response.json
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
        bearer = {"Authorization": f"Bearer {body['access_token']}"}
        assert client.get("/api/videos", headers=bearer).json == []

    @pytest.mark.parametrize("sent", [{}, {"email": SIGN_UP["email"], "password": "wrong-pass"}, {"email": 7}])
    def test_anything_else_is_401(self, client, sent):
        client.post("/api/auth/signup", json=SIGN_UP)

        assert is_error(client.post("/api/auth/login", json=sent), 401, "unauthenticated")


class TestGuessing:
    def guess(self, client, email, password="WrongPass123"):
        return client.post("/api/auth/login", json={"email": email, "password": password})

    @pytest.mark.parametrize("email", [SIGN_UP["email"], "nobody@example.com"])
    def test_it_is_slowed_down_whether_the_account_exists_or_not(self, client, email):
        client.post("/api/auth/signup", json=SIGN_UP)

        answers = [self.guess(client, email) for _ in range(12)]

        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert is_error(answers[-1], 429, "too_many_requests")
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3

    def test_twenty_wrong_passwords_lock_nobody_out_for_long(self, client, engine):
        client.post("/api/auth/signup", json=SIGN_UP)
        for _ in range(20):
            self.guess(client, SIGN_UP["email"])
            with engine.begin() as connection:
                longest = connection.scalar(
                    text("SELECT MAX(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), blocked_until)) FROM login_failures")
                )
                connection.execute(
                    text(
                        "UPDATE login_failures SET blocked_until = UTC_TIMESTAMP(6),"
                        " last_at = UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE"
                    )
                )
        assert longest <= 30

        assert self.guess(client, SIGN_UP["email"], SIGN_UP["password1"]).status_code == 200

    def test_whoever_also_knows_the_right_password_may_fail_more_often(self, client):
        client.post("/api/auth/signup", json=SIGN_UP)
        for password in ("WrongPass123", SIGN_UP["password1"]) * 12:
            answer = self.guess(client, SIGN_UP["email"], password)

        assert answer.status_code == 200

    def test_it_is_counted_for_all_processes_together(self, client, app):
        for _ in range(11):
            self.guess(client, "nobody@example.com")

        assert self.guess(app.test_client(), "nobody@example.com").status_code == 429


class TestTokens:
    PROTECTED = (
        ("post", "/api/videos/upload"),
        ("post", "/api/videos/uploads"),
        ("post", f"/api/videos/uploads/{UNKNOWN}/complete"),
        ("get", "/api/videos"),
        ("get", f"/api/videos/{UNKNOWN}"),
        ("delete", f"/api/videos/{UNKNOWN}"),
        ("post", f"/api/public/videos/{UNKNOWN}/vote"),
    )

    @pytest.fixture
    def bad_tokens(self, app, make_user):
        user = str(make_user().id)
        with app.app_context():
            good = create_access_token(identity=user)
            expired = create_access_token(identity=user, expires_delta=timedelta(seconds=-60))
        claims = jwt.decode(good, options={"verify_signature": False})
        secret, kid = app.config["JWT_SECRET_KEY"], {"kid": jwt.get_unverified_header(good)["kid"]}

        def forged(*, key=secret, algorithm="HS256", headers=kid, **changes):
            return jwt.encode({**claims, **changes}, key=key, algorithm=algorithm, headers=headers)

        header, payload, signature = good.split(".")
        return [
            None,
            *(
                "",
                "Bearer",
                "Bearer ",
                "Bearer x",
                "Bearer a.b.c",
                "Bearer ñ",
                f"Basic {good}",
                f"Bearer {good} {good}",
            ),
            *(
                f"Bearer {token}"
                for token in (
                    expired,
                    f"{header}.{payload}.{signature[::-1]}",
                    forged(key="", algorithm="none"),
                    forged(key="x" * 64),
                    forged(algorithm="HS512"),
                    forged(headers={}),
                    forged(headers={"kid": "other"}),
                    forged(iss="other"),
                    forged(aud="other"),
                    forged(type="refresh"),
                )
            ),
        ]

    def test_the_helper_that_forges_tokens_can_make_good_ones(self, app, client, make_user):
        with app.app_context():
            good = create_access_token(identity=str(make_user().id))
        claims = jwt.decode(good, options={"verify_signature": False})
        kid = {"kid": jwt.get_unverified_header(good)["kid"]}
        token = jwt.encode(claims, key=app.config["JWT_SECRET_KEY"], algorithm="HS256", headers=kid)

        assert client.get("/api/videos", headers={"Authorization": f"Bearer {token}"}).status_code == 200

    def test_a_token_of_the_previous_secret_is_still_accepted(self, engine, storage, jobs, make_user):
        def client_with(**secrets):
            settings = WebSettings(
                database_url="x", media_bucket="x", queue_url="x", address_secret="a" * 64, **secrets
            )
            app = create_app(
                settings, dependencies=Dependencies(engine=engine, storage=storage, jobs=jobs, address_key="a")
            )
            with app.app_context():
                token = issue(make_user().id)
            return app.test_client(), {"Authorization": f"Bearer {token}"}

        _, old = client_with(jwt_secret="o" * 64)
        rotated, _ = client_with(jwt_secret="n" * 64, jwt_previous_secret="o" * 64)
        forgotten, _ = client_with(jwt_secret="n" * 64)

        assert rotated.get("/api/videos", headers=old).status_code == 200
        assert is_error(forgotten.get("/api/videos", headers=old), 401)

    def test_an_accepted_token_does_not_open_the_door_to_its_forgeries(self, app, client, make_user):
        with app.app_context():
            good = issue(make_user().id)
        header, _, signature = good.split(".")
        another = jwt.encode({"sub": "1"}, key="x" * 64).split(".")[1]

        def status(token):
            return client.get("/api/videos", headers={"Authorization": f"Bearer {token}"}).status_code

        assert [status(good), status(good)] == [200, 200]
        assert status(f"{header}.{another}.{signature}") == 401
        assert status(good) == 200

    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    def test_a_missing_malformed_expired_or_forged_token_is_401(self, client, bad_tokens, method, path):
        for token in bad_tokens:
            headers = {} if token is None else {"Authorization": token.encode("utf-8").decode("latin-1")}

            assert is_error(client.open(path, method=method.upper(), headers=headers), 401, "unauthenticated"), token


class TestUpload:
    def test_it_stores_the_file_enqueues_the_job_and_answers_at_once(self, upload, make_user, keys, jobs):
        response = upload(make_user())

        assert response.status_code == 201
        video_id = response.json["video_id"]
        assert response.json == {
            "message": "Video subido correctamente. Procesamiento en curso.",
            "task_id": video_id,
            "video_id": video_id,
        }
        assert [key.rpartition("/")[0].rpartition("/")[0] for key in keys()] == [f"uploads/{video_id}"]
        assert str(jobs.receive(wait_seconds=1).job.video_id) == video_id

    @pytest.mark.parametrize(
        ("clip", "sentence"),
        [("12 seconds", "dura 12,0 segundos"), ("75 seconds", "dura 75,0 segundos"), ("720p", "mide 1280x720")],
    )
    def test_length_and_resolution_are_those_of_the_content(self, upload, make_user, keys, clip, sentence):
        response = upload(make_user(), clip=clip)

        assert is_error(response, 400, "invalid")
        assert sentence in response.json["fields"]["video_file"]
        assert keys() == set()

    def test_a_portrait_is_measured_as_it_is_shown(self, upload, make_user):
        assert upload(make_user(), clip="portrait").status_code == 201

    @pytest.mark.parametrize(
        "content",
        [b"", b"just text", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", b"\x00\x00\x00\x18ftypmp42" + b"x" * 99],
    )
    def test_what_is_no_mp4_is_refused_whatever_its_name(self, upload, make_user, content):
        response = upload(make_user(), content=content)

        assert is_error(response, 400, "invalid")
        assert set(response.json["fields"]) == {"video_file"}

    def test_a_truncated_file_is_refused(self, upload, make_user, clips):
        assert is_error(upload(make_user(), content=clips["good"].read_bytes()[:-1000]), 400, "invalid")

    def test_every_missing_field_is_named(self, client, signed_in, make_user):
        response = client.post("/api/videos/upload", data={}, headers=signed_in(make_user()))

        assert is_error(response, 400, "invalid")
        assert set(response.json["fields"]) == {"title", "video_file"}

    def test_two_files_are_one_too_many(self, client, signed_in, make_user):
        data = {"title": "t", "video_file": [(io.BytesIO(b"a"), "a.mp4"), (io.BytesIO(b"b"), "b.mp4")]}

        response = client.post("/api/videos/upload", data=data, headers=signed_in(make_user()))

        assert set(response.json["fields"]) == {"video_file"}

    @pytest.mark.parametrize(
        "body", [b"", b"x", b"--b\r\n\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"]
    )
    @pytest.mark.parametrize(
        "kind", ["multipart/form-data", "multipart/form-data; boundary=b", "application/json", "text/x"]
    )
    def test_a_body_that_is_no_form_is_refused(self, client, signed_in, make_user, body, kind):
        response = client.post("/api/videos/upload", data=body, content_type=kind, headers=signed_in(make_user()))

        assert is_error(response, 400)

    def test_a_repeated_idempotency_key_answers_with_the_first_result(self, upload, make_user, keys, jobs):
        user, key = make_user(), {"Idempotency-Key": "key-1"}
        first = upload(user, headers=key)

        second = upload(user, headers=key, content=b"something else")

        assert (second.status_code, second.json) == (201, first.json)
        assert len(keys()) == 1
        assert jobs.backlog() == 1

    def test_idempotency_keys_of_different_players_are_different(self, upload, make_user):
        key = {"Idempotency-Key": "key-1"}

        assert upload(make_user(), headers=key).json != upload(make_user(), headers=key).json

    def test_of_two_files_that_are_sent_at_once_under_one_key_the_accepted_one_stays(
        self, upload, client, signed_in, make_user, clips, monkeypatch, keys, jobs
    ):
        user, key, content = make_user(), {"Idempotency-Key": "key-1"}, clips["good"].read_bytes()
        another, mark_uploaded, begun = content[:-1] + b"x", lifecycle.mark_uploaded, list[bool]()

        def mark_late(connection, **named):
            if not begun:
                begun.append(True)
                assert upload(user, headers=key, content=another).status_code == 201
            return mark_uploaded(connection, **named)

        monkeypatch.setattr(lifecycle, "mark_uploaded", mark_late)

        response = upload(user, headers=key, content=content)

        assert response.status_code == 201
        detail = client.get(f"/api/videos/{response.json['video_id']}", headers=signed_in(user)).json
        assert requests.get(detail["original_url"], timeout=10).content == another
        assert len(keys()) == 1
        assert jobs.backlog() == 1

    def test_a_key_that_reserved_for_a_file_of_another_size_is_refused(self, client, signed_in, upload, make_user):
        user, key = make_user(), {"Idempotency-Key": "key-1"}
        sent = {"title": "Mi mejor tiro", "size": 1000}
        client.post("/api/videos/uploads", json=sent, headers={**signed_in(user), **key})

        assert is_error(upload(user, headers=key), 400, "invalid")

    def test_an_unusable_idempotency_key_is_refused(self, upload, make_user):
        assert is_error(upload(make_user(), headers={"Idempotency-Key": "x" * 300}), 400)


class TestDirectUpload:
    @pytest.fixture
    def begin(self, client, signed_in, clips):
        def ask(user, **changes):
            sent = {"title": "Mi mejor tiro", "size": clips["good"].stat().st_size, **changes}
            return client.post("/api/videos/uploads", json=sent, headers=signed_in(user))

        return ask

    @pytest.fixture
    def complete(self, client, signed_in):
        return lambda user, video_id: client.post(f"/api/videos/uploads/{video_id}/complete", headers=signed_in(user))

    @pytest.fixture
    def original(self, client, signed_in):
        """Return what lies at a video's `original_url`."""

        def read(user, video_id):
            detail = client.get(f"/api/videos/{video_id}", headers=signed_in(user)).json
            return requests.get(detail["original_url"], timeout=10).content

        return read

    @pytest.fixture
    def row(self, engine):
        def read(video_id):
            with engine.begin() as connection:
                return connection.execute(select(Video).where(Video.id == UUID(video_id))).one_or_none()

        return read

    def test_the_file_goes_past_the_web_tier(self, begin, complete, make_user, clips, post, jobs):
        user = make_user()
        begun = begin(user)
        assert begun.status_code == 201
        assert post(begun.json, clips["good"].read_bytes()) == 204

        response = complete(user, begun.json["video_id"])

        assert response.status_code == 201
        assert response.json["message"] == "Video subido correctamente. Procesamiento en curso."
        assert response.json["task_id"] == begun.json["video_id"]
        assert str(jobs.receive(wait_seconds=1).job.video_id) == begun.json["video_id"]

    def test_completing_twice_rings_once(self, begin, complete, make_user, clips, post, jobs):
        user = make_user()
        begun = begin(user).json
        post(begun, clips["good"].read_bytes())

        assert complete(user, begun["video_id"]).json == complete(user, begun["video_id"]).json
        assert jobs.backlog() == 1

    def test_the_same_checks_hold(self, begin, complete, make_user, clips, post):
        user, content = make_user(), clips["12 seconds"].read_bytes()
        begun = begin(user, size=len(content)).json
        post(begun, content)

        response = complete(user, begun["video_id"])

        assert is_error(response, 400, "invalid")
        assert "12,0 segundos" in response.json["message"]

    def test_a_refused_reservation_is_over_and_says_so_without_a_look(
        self, begin, complete, client, signed_in, make_user, clips, post, keys, storage, monkeypatch
    ):
        user, content = make_user(), clips["12 seconds"].read_bytes()
        begun = begin(user, size=len(content)).json
        post(begun, content)
        first = complete(user, begun["video_id"])
        post(begun, clips["good"].read_bytes()[: len(content)])
        monkeypatch.setattr(type(storage), "open", None)

        again = complete(user, begun["video_id"])

        assert is_error(again, 400, "invalid")
        assert again.json == first.json
        assert client.get("/api/videos", headers=signed_in(user)).json == []
        assert is_error(client.get(f"/api/videos/{begun['video_id']}", headers=signed_in(user)), 404)
        assert client.delete(f"/api/videos/{begun['video_id']}", headers=signed_in(user)).status_code == 200
        assert keys() == set()
        assert is_error(complete(user, begun["video_id"]), 404)

    def test_the_key_of_a_refused_reservation_is_answered_with_the_refusal(
        self, client, signed_in, upload, complete, make_user, clips, post
    ):
        user, content = make_user(), clips["12 seconds"].read_bytes()
        key = {"Idempotency-Key": "key-1"}

        def begin():
            sent = {"title": "Mi mejor tiro", "size": len(content)}
            return client.post("/api/videos/uploads", json=sent, headers={**signed_in(user), **key})

        begun = begin().json
        post(begun, content)
        refusal = complete(user, begun["video_id"]).json

        assert is_error(begin(), 400)
        assert begin().json == refusal
        assert upload(user, headers=key).json == refusal

    @pytest.mark.parametrize("moment", ["before the worker reads", "after the publication"])
    def test_what_is_posted_after_completing_changes_nothing(
        self, begin, complete, original, make_user, clips, post, row, engine, storage, moment
    ):
        user, content = make_user(), clips["good"].read_bytes()
        begun = begin(user).json
        post(begun, content)
        complete(user, begun["video_id"])
        video = row(begun["video_id"])
        if moment == "after the publication":
            with engine.begin() as connection:
                finish(connection, lease(connection, video.id))

        assert post(begun, content[:-1] + b"x") == 204
        assert complete(user, begun["video_id"]).status_code == 201

        assert original(user, begun["video_id"]) == content
        assert storage.open(source_key(video.id, video.source)).file.read() == content
        assert row(begun["video_id"]).source == video.source

    def test_what_is_posted_after_a_deletion_stays_where_things_expire(
        self, begin, complete, client, signed_in, make_user, clips, post, keys
    ):
        user, content = make_user(), clips["good"].read_bytes()
        begun = begin(user).json
        post(begun, content)
        complete(user, begun["video_id"])
        client.delete(f"/api/videos/{begun['video_id']}", headers=signed_in(user))
        assert keys() == set()

        post(begun, content)

        assert keys() == {f"incoming/{begun['video_id']}/source.mp4"}
        assert is_error(complete(user, begun["video_id"]), 404)

    def test_a_form_is_for_a_file_of_the_declared_size(self, begin, make_user, clips, post):
        content = clips["good"].read_bytes()
        begun = begin(make_user()).json

        assert [post(begun, sent) for sent in (content[:-1], content + b"x", content)] == [400, 400, 204]

    def test_a_file_that_changes_while_it_is_looked_at_is_told_and_may_be_completed_again(
        self, begin, complete, original, make_user, clips, post, monkeypatch, jobs
    ):
        user, content = make_user(), clips["good"].read_bytes()
        begun, another = begin(user).json, content[:-1] + b"x"
        post(begun, content)
        check, posted = videos.check_file, iter([another])

        def check_slowly(file, *, size_bytes):
            clip = check(file, size_bytes=size_bytes)
            for late in posted:
                post(begun, late)
            return clip

        monkeypatch.setattr(videos, "check_file", check_slowly)

        response = complete(user, begun["video_id"])

        assert is_error(response, 400, "invalid")
        assert "cambió mientras se revisaba" in response.json["message"]
        assert jobs.backlog() == 0
        assert complete(user, begun["video_id"]).status_code == 201
        assert original(user, begun["video_id"]) == another

    def test_of_two_that_complete_at_once_with_different_files_the_accepted_one_stays(
        self, begin, complete, original, app, signed_in, make_user, clips, post, monkeypatch, keys, jobs
    ):
        user, content = make_user(), clips["good"].read_bytes()
        begun, another = begin(user).json, content[:-1] + b"x"
        post(begun, content)
        mark_uploaded, seen = lifecycle.mark_uploaded, list[str]()

        def mark_late(connection, **named):
            """Before the first is accepted, a second has posted, checked, copied and been accepted."""
            if not seen:
                seen.append(named["source"])
                post(begun, another)
                path = f"/api/videos/uploads/{begun['video_id']}/complete"
                assert app.test_client().post(path, headers=signed_in(user)).status_code == 201
            return mark_uploaded(connection, **named)

        monkeypatch.setattr(lifecycle, "mark_uploaded", mark_late)

        assert complete(user, begun["video_id"]).status_code == 201

        assert original(user, begun["video_id"]) == another
        assert len(keys()) == 1
        assert jobs.backlog() == 1

    def test_of_two_at_once_the_one_that_comes_too_late_to_look_is_told_of_the_others_success(
        self, begin, complete, app, signed_in, make_user, clips, post, monkeypatch, storage
    ):
        user, begun = make_user(), None
        begun = begin(user).json
        post(begun, clips["good"].read_bytes())
        path = f"/api/videos/uploads/{begun['video_id']}/complete"
        opening, first = type(storage).open, [True]

        def open_late(store, key):
            if first and first.pop():
                assert app.test_client().post(path, headers=signed_in(user)).status_code == 201
            return opening(store, key)

        monkeypatch.setattr(type(storage), "open", open_late)

        assert complete(user, begun["video_id"]).status_code == 201

    def test_a_deletion_while_it_is_copied_leaves_nothing(
        self, begin, complete, app, signed_in, make_user, clips, post, monkeypatch, storage, keys, jobs
    ):
        user = make_user()
        begun = begin(user).json
        post(begun, clips["good"].read_bytes())
        copy = type(storage).copy

        def copy_slowly(store, *arguments, **named):
            app.test_client().delete(f"/api/videos/{begun['video_id']}", headers=signed_in(user))
            post(begun, clips["good"].read_bytes())
            copy(store, *arguments, **named)

        monkeypatch.setattr(type(storage), "copy", copy_slowly)

        assert is_error(complete(user, begun["video_id"]), 404)
        assert keys() <= {f"incoming/{begun['video_id']}/source.mp4"}
        assert jobs.backlog() == 0

    def test_a_file_of_more_pieces_than_any_recording_has_is_refused_in_40_requests(
        self, begin, complete, make_user, post, requests_sent
    ):
        user, content = make_user(), FTYP + box(b"free", bytes(5000)) * 20_000
        begun = begin(user, size=len(content)).json
        post(begun, content)
        requests_sent.clear()

        response = complete(user, begun["video_id"])

        assert is_error(response, 400, "invalid")
        assert "demasiadas piezas pequeñas" in response.json["fields"]["video_file"]
        assert len(requests_sent) <= 40

    def test_a_file_that_has_not_arrived_is_told(self, begin, complete, make_user):
        user = make_user()

        assert is_error(complete(user, begin(user).json["video_id"]), 400, "invalid")

    def test_somebody_elses_upload_is_403(self, begin, complete, make_user):
        assert is_error(complete(make_user(), begin(make_user()).json["video_id"]), 403, "forbidden")

    @pytest.mark.parametrize("size", [None, 0, -1, 1.5, "7", True, 100 * 1024 * 1024 + 1, 10**30])
    def test_a_size_that_cannot_be_is_refused(self, begin, make_user, size):
        response = begin(make_user(), size=size)

        assert is_error(response, 400, "invalid")
        assert set(response.json["fields"]) == {"size"}

    def test_an_upload_that_was_only_begun_does_not_show(self, begin, client, signed_in, make_user):
        user = make_user()
        video_id = begin(user).json["video_id"]

        assert client.get("/api/videos", headers=signed_in(user)).json == []
        assert is_error(client.get(f"/api/videos/{video_id}", headers=signed_in(user)), 404)


class TestUploadLimits:
    SENT: ClassVar = {"title": "Mi mejor tiro", "size": 1000}

    @pytest.fixture
    def limited(self, engine, storage, jobs, signed_in, app):
        """Return what begins uploads under limits: how often, by whom, from so many threads."""

        def begin(user, number, *, limits, threads=1, **changes):
            app.extensions["anb"] = Dependencies(
                engine=engine, storage=storage, jobs=jobs, address_key="a", upload_limits=limits
            )
            headers = signed_in(user)

            def ask(_):
                client = app.test_client()
                return client.post("/api/videos/uploads", json={**self.SENT, **changes}, headers=headers)

            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(ask, range(number)))

        return begin

    def test_a_player_may_begin_so_many_uploads_an_hour(self, limited, client, signed_in, make_user, engine):
        user, limits = make_user(), UploadLimits(uploads_an_hour=3)
        *begun, refused = limited(user, 4, limits=limits)

        assert [answer.status_code for answer in begun] == [201] * 3
        assert is_error(refused, 429, "too_many_requests")
        assert "3 videos en la última hora" in refused.json["message"]
        assert 3500 <= int(refused.headers["Retry-After"]) <= 3600
        # What was deleted was begun all the same
        assert client.delete(f"/api/videos/{begun[0].json['video_id']}", headers=signed_in(user)).status_code == 200
        assert limited(user, 1, limits=limits)[0].status_code == 429
        assert limited(make_user(), 1, limits=limits)[0].status_code == 201
        with engine.begin() as connection:
            connection.execute(text("UPDATE videos SET created_at = created_at - INTERVAL 3590 SECOND"))
        assert 1 <= int(limited(user, 1, limits=limits)[0].headers["Retry-After"]) <= 10
        with engine.begin() as connection:
            connection.execute(text("UPDATE videos SET created_at = created_at - INTERVAL 10 SECOND"))
        assert limited(user, 1, limits=limits)[0].status_code == 201

    def test_a_player_may_have_so_many_open_reservations(self, limited, client, signed_in, make_user):
        user, limits = make_user(), UploadLimits(open_reservations=2)
        first, _, refused = limited(user, 3, limits=limits)

        assert is_error(refused, 429, "too_many_requests")
        assert "2 subidas sin terminar" in refused.json["message"]
        assert 86_300 <= int(refused.headers["Retry-After"]) <= 86_400
        client.delete(f"/api/videos/{first.json['video_id']}", headers=signed_in(user))
        assert limited(user, 1, limits=limits)[0].status_code == 201

    @pytest.mark.parametrize(
        ("status", "answer", "retry_after"),
        [
            *((status, 429, "60") for status in (Status.AWAITING_UPLOAD, Status.UPLOADED, Status.PROCESSING)),
            *((status, 201, None) for status in (Status.REFUSED, Status.PROCESSED, Status.FAILED, Status.DELETED)),
        ],
    )
    def test_a_player_may_have_so_many_bytes_waiting(
        self, limited, make_user, make_video, status, answer, retry_after
    ):
        user, limits = make_user(), UploadLimits(waiting_bytes=2500)
        make_video(owner=user, status=status, size_bytes=1000)

        first, second = limited(user, 2, limits=limits)

        assert (first.status_code, second.status_code) == (201, answer)
        assert second.headers.get("Retry-After") == retry_after

    def test_fifty_at_once_get_no_further_than_fifty_in_turn(self, limited, make_user, engine):
        answers = limited(make_user(), 50, threads=16, limits=UploadLimits(open_reservations=7))

        assert Counter(answer.status_code for answer in answers) == {201: 7, 429: 43}
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM videos")) == 7

    def test_a_repeated_key_counts_once(self, limited, client, signed_in, make_user):
        user, limits = make_user(), UploadLimits(uploads_an_hour=2)
        key = {**signed_in(user), "Idempotency-Key": "key-1"}
        limited(user, 0, limits=limits)

        repeated = [client.post("/api/videos/uploads", json=self.SENT, headers=key) for _ in range(4)]

        assert {answer.status_code for answer in repeated} == {201}
        assert [answer.status_code for answer in limited(user, 2, limits=limits)] == [201, 429]
        assert client.post("/api/videos/uploads", json=self.SENT, headers=key).status_code == 201

    def test_a_file_that_comes_through_this_server_counts_too(self, limited, upload, make_user, keys):
        user = make_user()
        limited(user, 1, limits=UploadLimits(uploads_an_hour=1))

        assert is_error(upload(user), 429, "too_many_requests")
        assert keys() == set()

    def test_the_limits_are_wide_enough_for_a_season(self):
        assert UploadLimits().uploads_an_hour >= 60
        assert UploadLimits().waiting_bytes >= UploadLimits().open_reservations * videos.MAX_BYTES


class TestOwnVideos:
    def test_the_list_is_the_callers_oldest_first(self, client, signed_in, make_user, make_video):
        user = make_user()
        first, second = make_video(owner=user, title="uno"), make_video(owner=user, status=Status.PROCESSED)
        make_video()

        listed = client.get("/api/videos", headers=signed_in(user)).json

        assert [item["video_id"] for item in listed] == [str(first.id), str(second.id)]
        assert set(listed[0]) == {"video_id", "title", "status", "uploaded_at"}
        assert listed[0]["status"] == "uploaded"
        assert set(listed[1]) == {*listed[0], "processed_at", "processed_url"}
        for time in (listed[0]["uploaded_at"], listed[1]["processed_at"]):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)
            assert datetime.fromisoformat(time)

    def test_a_video_being_worked_on_is_still_uploaded(self, client, signed_in, make_user, make_video):
        user = make_user()
        make_video(owner=user, status=Status.PROCESSING)

        assert [v["status"] for v in client.get("/api/videos", headers=signed_in(user)).json] == ["uploaded"]

    def test_a_failed_video_says_why(self, client, signed_in, make_user, make_video):
        user = make_user()
        video = make_video(owner=user, status=Status.FAILED, error="Está dañado.")

        body = client.get(f"/api/videos/{video.id}", headers=signed_in(user)).json

        assert (body["status"], body["error"]) == ("failed", "Está dañado.")

    def test_the_detail_adds_original_and_votes(self, client, signed_in, make_user, make_video, store):
        user = make_user()
        video = make_video(owner=user, status=Status.PROCESSED)
        store(video.id, b"original")
        store(video.id, b"processed", attempt=video.attempt)
        client.post(f"/api/public/videos/{video.id}/vote", headers=signed_in(user))

        body = client.get(f"/api/videos/{video.id}", headers=signed_in(user)).json

        assert body["votes"] == 1
        assert requests.get(body["original_url"], timeout=5).content == b"original"
        assert requests.get(body["processed_url"], timeout=5).content == b"processed"

    def test_a_foreign_video_is_403(self, client, signed_in, make_user, make_video):
        video, stranger = make_video(), signed_in(make_user())

        assert is_error(client.get(f"/api/videos/{video.id}", headers=stranger), 403, "forbidden")
        assert is_error(client.delete(f"/api/videos/{video.id}", headers=stranger), 403, "forbidden")

    @pytest.mark.parametrize("video_id", [UNKNOWN, "1", "x", "%00", "é", "' OR 1=1 --", "x" * 5000])
    def test_an_unknown_or_unparseable_id_is_404(self, client, signed_in, make_user, video_id):
        user = signed_in(make_user())

        assert is_error(client.get(f"/api/videos/{video_id}", headers=user), 404, "not_found")
        assert is_error(client.delete(f"/api/videos/{video_id}", headers=user), 404, "not_found")
        assert is_error(client.post(f"/api/public/videos/{video_id}/vote", headers=user), 404, "not_found")

    @pytest.mark.parametrize("status", [Status.UPLOADED, Status.PROCESSING, Status.FAILED])
    def test_what_is_deleted_leaves_no_object_and_is_found_no_more(
        self, client, signed_in, make_user, make_video, store, storage, keys, status
    ):
        user = make_user()
        video = make_video(owner=user, status=status)
        store(video.id)
        store(video.id, attempt=1)
        storage.put(thumbnail_key(video.id, 1), io.BytesIO(b"picture"), content_type=JPEG)

        response = client.delete(f"/api/videos/{video.id}", headers=signed_in(user))

        assert response.status_code == 200
        assert response.json == {"message": "El video ha sido eliminado exitosamente.", "video_id": str(video.id)}
        assert keys() == set()
        assert is_error(client.get(f"/api/videos/{video.id}", headers=signed_in(user)), 404)

    def test_a_public_video_cannot_be_deleted(self, client, signed_in, make_user, make_video, store, keys):
        user = make_user()
        video = make_video(owner=user, status=Status.PROCESSED)
        store(video.id)

        assert is_error(client.delete(f"/api/videos/{video.id}", headers=signed_in(user)), 400)
        assert len(keys()) == 1


class TestPublic:
    def test_the_list_shows_processed_videos_newest_first(self, client, make_user, make_video):
        player = make_user(first_name="Super", last_name="Player", city="Cali")
        older = make_video(owner=player, status=Status.PROCESSED)
        newer = make_video(owner=player, status=Status.PROCESSED)
        make_video(owner=player)

        listed = client.get("/api/public/videos").json

        assert [item["video_id"] for item in listed] == [str(newer.id), str(older.id)]
        assert set(listed[0]) == {
            *("video_id", "title", "username", "city", "processed_url", "thumbnail_url"),
            *("uploaded_at", "processed_at", "votes"),
        }
        assert (listed[0]["username"], listed[0]["city"], listed[0]["votes"]) == ("Super Player", "Cali", 0)

    def test_the_pages_hold_every_video_once(self, client, make_user, make_video):
        player = make_user()
        made = [str(make_video(owner=player, status=Status.PROCESSED).id) for _ in range(5)]

        seen: list[str] = []
        path: str | None = "/api/public/videos?limit=2"
        while path:
            response = client.get(path)
            seen += [item["video_id"] for item in response.json]
            link = re.fullmatch(r'<(/.+)>; rel="next"', response.headers.get("Link", ""))
            path = link and link[1]

        assert seen == made[::-1]

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "limit=", "limit=-1", "cursor=x", "cursor="]
    )
    def test_a_wrong_parameter_is_400(self, client, query):
        assert is_error(client.get(f"/api/public/videos?{query}"), 400, "invalid")

    def test_a_vote_is_registered_once(self, client, signed_in, make_user, make_video):
        voter, video = signed_in(make_user()), make_video(status=Status.PROCESSED)

        first = client.post(f"/api/public/videos/{video.id}/vote", headers=voter)
        second = client.post(f"/api/public/videos/{video.id}/vote", headers=voter)

        assert (first.status_code, first.json) == (200, {"message": "Voto registrado exitosamente."})
        assert is_error(second, 400, "already_voted")
        assert second.json["message"] == "Ya has votado por este video."
        assert [item["votes"] for item in client.get("/api/public/videos").json] == [1]

    def test_a_video_that_is_not_public_cannot_be_voted_for(self, client, signed_in, make_user, make_video):
        response = client.post(f"/api/public/videos/{make_video().id}/vote", headers=signed_in(make_user()))

        assert is_error(response, 404, "not_found")
        assert response.json["message"] == "Video no encontrado."


class TestRankings:
    @pytest.fixture
    def players(self, make_user, make_video, client, signed_in, engine):
        """Make five players with 4, 3, 2, 1 and 0 votes."""
        voters = [signed_in(make_user()) for _ in range(4)]
        for votes in (4, 3, 2, 1, 0):
            video = make_video(owner=make_user(first_name=f"P{votes}", city="Cali"), status=Status.PROCESSED)
            for voter in voters[:votes]:
                client.post(f"/api/public/videos/{video.id}/vote", headers=voter)
        with engine.begin() as connection:
            tally(connection)

    @pytest.mark.usefixtures("players")
    def test_each_place_has_exactly_four_keys(self, client):
        assert client.get("/api/public/rankings?limit=1").json == [
            {"position": 1, "username": "P4 Gil", "city": "Cali", "votes": 4}
        ]

    @pytest.mark.usefixtures("players")
    @pytest.mark.parametrize(
        ("query", "positions"),
        [
            ("", [1, 2, 3, 4, 5]),
            ("page=2&limit=2", [3, 4]),
            ("page=2&page_size=3", [4, 5]),
            ("size=1", [1]),
            ("limit=2&offset=1", [2, 3]),
            ("offset=0", [1, 2, 3, 4, 5]),
            ("from=2&to=4", [2, 3, 4]),
            ("from=5", [5]),
            ("to=2", [1, 2]),
            ("page=1000", []),
            ("city=cALI&limit=1", [1]),
            ("city=Nowhere", []),
            ("city=", [1, 2, 3, 4, 5]),
            ("unknown=7", [1, 2, 3, 4, 5]),
        ],
    )
    def test_pages_offsets_and_ranges_choose_the_places(self, client, query, positions):
        assert [place["position"] for place in client.get(f"/api/public/rankings?{query}").json] == positions

    @pytest.mark.parametrize(
        "query",
        [
            *(
                f"{name}={value}"
                for name in ("page", "limit", "from", "to")
                for value in ("0", "-1", "x", "1.5", "", "²")
            ),
            *("page=99999999999999999999", "limit=101", "offset=-1", "from=3&to=2", "from=1&to=101", "from=1&page=1"),
            *("limit=1&size=1", "page=1&offset=1", "limit=%2B5", "limit=1%00", "limit=٣"),
        ],
    )
    def test_a_wrong_parameter_is_400(self, client, query):
        response = client.get(f"/api/public/rankings?{query}")

        assert is_error(response, 400, "invalid")
        assert len(response.json["fields"]) == 1


class TestHealth:
    @pytest.mark.parametrize("path", ["/healthz", "/health", "/api/health", "/readyz"])
    def test_a_healthy_system_says_so(self, client, path):
        response = client.get(path)

        assert (response.status_code, response.json) == (200, {"status": "ok"})


class TestEveryAnswer:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("get", "/nowhere", 404),
            ("get", "/api/auth/login", 405),
            ("put", "/api/videos", 405),
            ("post", "/healthz", 405),
        ],
    )
    def test_the_frameworks_errors_have_the_shape_too(self, client, method, path, status):
        response = client.open(path, method=method.upper())

        assert is_error(response, status)
        assert ("Allow" in response.headers) == (status == 405)

    def test_a_request_id_is_accepted_and_repeated(self, client):
        assert client.get("/healthz", headers={"X-Request-Id": "abc-12345"}).headers["X-Request-Id"] == "abc-12345"

    @pytest.mark.parametrize("sent", ["", "short", "x" * 65, "a b c d e f g h", "ñandu-ñandu"])
    def test_an_unusable_request_id_is_replaced(self, client, sent):
        assert client.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"] != sent

    def test_a_bug_tells_nothing_of_the_inside(self, app, client):
        @app.get("/bug")
        def bug():
            raise RuntimeError("secret detail")

        response = client.get("/bug")

        assert is_error(response, 500, "internal")
        assert "secret" not in response.text
