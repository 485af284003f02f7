"""`/api/auth`: sign-up, login, and a new password for who was given a link."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from anb import accounts
from anb_web import tokens
from anb_web.addresses import hashed_address
from anb_web.dependencies import dependencies
from anb_web.middleware import json_object

bp = Blueprint("auth", __name__, url_prefix="/api/auth")


@bp.post("/signup")
def sign_up() -> ResponseReturnValue:
    registration = accounts.Registration.from_fields(json_object())
    password_hash = accounts.hash_password(registration.password)
    with dependencies().engine.begin() as connection:
        user_id = accounts.sign_up(
            connection,
            registration=registration,
            password_hash=password_hash,
            address=hashed_address(),
            limits=dependencies().abuse_limits,
        )
    return (
        {
            "message": "Usuario creado exitosamente.",
            "id": str(user_id),
            "email": registration.email,
            "first_name": registration.first_name,
            "last_name": registration.last_name,
            "city": registration.city,
            "country": registration.country,
        },
        201,
        {"Location": url_for("videos.list_own")},
    )  # what the new player has; players themselves have no address


@bp.post("/login")
def login() -> ResponseReturnValue:
    sent = json_object()
    user_id = accounts.authenticate(
        dependencies().engine,
        email=sent.get("email"),
        password=sent.get("password"),
        client_address=request.remote_addr or "",
    )
    return {
        "access_token": tokens.issue(user_id),
        "token_type": "Bearer",
        "expires_in": tokens.LIFETIME_SECONDS,
    }


@bp.post("/password-reset")
def reset_password() -> ResponseReturnValue:
    token, password = accounts.check_new_password(json_object())
    password_hash = accounts.hash_password(password)
    with dependencies().engine.begin() as connection:
        accounts.set_new_password(connection, token=token, password_hash=password_hash)
    return {"message": "Contraseña actualizada exitosamente."}
