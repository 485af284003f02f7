"""Who is calling: access tokens and what their absence answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar, cast

from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required

from anb.errors import Unauthenticated
from anb_web.errors import answer

LIFETIME_SECONDS = 3600
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
ISSUER = AUDIENCE = "anb-rising-stars"


def signed_in(view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let the view be called with a valid token only."""
    return cast("Callable[Arguments, Answer]", jwt_required()(view))


def install(app: Flask, *, secret: str) -> None:
    """Accept only tokens that we signed with HS256 and that have not expired; anything else is a 401."""
    app.config.update(
        JWT_SECRET_KEY=secret,
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=LIFETIME_SECONDS),
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_LEEWAY=10,
    )
    manager = JWTManager(app)
    manager.unauthorized_loader(lambda _: answer(Unauthenticated("Falta el token de acceso.")))
    manager.invalid_token_loader(lambda _: answer(Unauthenticated("El token de acceso no es válido.")))
    manager.expired_token_loader(lambda _, __: answer(Unauthenticated("El token de acceso ha expirado.")))


def issue(user_id: int) -> str:
    """Return a token for the user."""
    return str(create_access_token(identity=str(user_id)))


def current_user_id() -> int:
    """Return whom the current request's token names."""
    return int(get_jwt_identity())
