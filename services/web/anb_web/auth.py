"""`/api/auth`: sign-up and login."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from anb import accounts
from anb_web import tokens
from anb_web.parts import parts
from anb_web.requests import json_object

bp = Blueprint("auth", __name__, url_prefix="/api/auth")


@bp.post("/signup")
def sign_up() -> ResponseReturnValue:
    registration = accounts.Registration.from_fields(json_object())
    password_hash = accounts.hash_password(registration.password)
    with parts().sessions.begin() as session:
        user = accounts.sign_up(session, registration=registration, password_hash=password_hash)
    return (
        {
            "message": "Usuario creado exitosamente.",
            "id": str(user.id),
            "email": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "city": user.city,
            "country": user.country,
        },
        201,
        {"Location": url_for("videos.list_own")},
    )  # what the new player has; players themselves have no address


@bp.post("/login")
def login() -> ResponseReturnValue:
    sent = json_object()
    with parts().sessions() as session:
        user_id = accounts.authenticate(
            session,
            email=sent.get("email"),
            password=sent.get("password"),
            client_address=request.remote_addr or "",
        )
    return {
        "access_token": tokens.issue(user_id),
        "token_type": "Bearer",
        "expires_in": tokens.LIFETIME_SECONDS,
    }
