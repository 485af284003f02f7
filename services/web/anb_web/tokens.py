"""Who is calling: access tokens and what their absence answers."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Flask, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import InvalidTokenError, PyJWTError

from anb.errors import Unauthenticated, Unavailable
from anb_web.errors import answer

LIFETIME_SECONDS = 3600
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
ISSUER = AUDIENCE = "anb-rising-stars"


def signed_in(view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let the view be called with a valid token only."""

    @wraps(view)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        g.user_id = _user_id()
        return view(*args, **kwargs)

    return checked


def _user_id() -> int:
    # Werkzeug reads the scheme in any case, as RFC 9110 has it in section 11.1; flask-jwt-extended only as `Bearer`
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        raise Unauthenticated("Falta el token de acceso.")
    claims = decode_token(sent.token)  # its refusals are answered by the loaders below
    if claims["type"] != "access":
        raise InvalidTokenError("not an access token")
    return int(claims["sub"])


def known_user_id() -> int | None:
    """Return whom the request's token names, None without a good one: what is for everybody asks for none."""
    if request.authorization is None:
        return None
    try:
        return _user_id()
    except (Unauthenticated, Unavailable, PyJWTError, JWTExtendedException):
        return None


def install(app: Flask, *, secret: str, previous_secret: str = "") -> None:
    """Sign with the secret; accept what it or the previous one has signed with HS256, until it expires.

    Anything else is a 401. Two secrets let one be replaced while tokens of the other are still in use. Without any
    nobody can tell: a token is answered with 503.
    """
    keys = {_key_id(key): key for key in (secret, previous_secret) if key}
    app.config.update(
        JWT_SECRET_KEY=secret,
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=LIFETIME_SECONDS),
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_LEEWAY=10,
    )
    manager = JWTManager(app)
    manager.additional_headers_loader(lambda _: {"kid": _key_id(secret)})
    manager.decode_key_loader(
        lambda header, _: (keys.get(str(header.get("kid"))) or _unknown_key()) if keys else _no_key()
    )
    manager.invalid_token_loader(lambda _: answer(Unauthenticated("El token de acceso no es válido.")))
    manager.expired_token_loader(lambda _, __: answer(Unauthenticated("El token de acceso ha expirado.")))


def issue(user_id: int) -> str:
    """Return a token for the user."""
    return str(create_access_token(identity=str(user_id)))


def _key_id(secret: str) -> str:
    """Return a name for the key that tells nothing of it."""
    return hashlib.sha256(f"key id of {secret}".encode()).hexdigest()[:8]


def _unknown_key() -> str:
    raise InvalidTokenError("signed with a key that is not ours")


def _no_key() -> str:
    raise Unavailable("El servicio no está disponible por el momento. Inténtalo de nuevo.")


def current_user_id() -> int:
    """Return whom the current request's token names."""
    return int(g.user_id)
