"""Who is calling: access tokens and what their absence answers."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

from cachetools import LRUCache
from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from jwt.exceptions import InvalidTokenError

from anb.errors import Unauthenticated
from anb_web.errors import answer

LIFETIME_SECONDS = 3600
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
ISSUER = AUDIENCE = "anb-rising-stars"
_EXTENSION = "anb-tokens"


def signed_in(view: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let the view be called with a valid token only."""

    @wraps(view)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        g.user_id = _bearer().user_id
        return view(*args, **kwargs)

    return checked


@dataclass(frozen=True)
class Bearer:
    """Whom a token names, and until when."""

    user_id: int
    expires_at: float


class Accepted:
    """The tokens that were accepted lately.

    Checking one again takes as long as the database takes for the whole request. Nothing takes an accepted token
    back before it expires, so the first check holds until then.
    """

    _AT_MOST = 4096  # some 4 MB; who is forgotten is checked again

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells the seconds since 1970."""
        self._clock = clock
        self._bearers = LRUCache[str, Bearer](self._AT_MOST)
        self._lock = Lock()

    def find(self, token: str) -> Bearer | None:
        """Return the bearer, unless the token is unknown or has expired."""
        with self._lock:
            bearer = self._bearers.get(token)
        return bearer if bearer is not None and self._clock() < bearer.expires_at else None

    def add(self, token: str, bearer: Bearer) -> None:
        """Remember the bearer."""
        with self._lock:
            self._bearers[token] = bearer


def _bearer() -> Bearer:
    # Werkzeug reads the scheme in any case, as RFC 9110 has it in section 11.1; flask-jwt-extended only as `Bearer`
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        raise Unauthenticated("Falta el token de acceso.")
    accepted: Accepted = current_app.extensions[_EXTENSION]
    bearer = accepted.find(sent.token)
    if bearer is None:
        claims = decode_token(sent.token)  # its refusals are answered by the loaders below
        if claims["type"] != "access":
            raise InvalidTokenError("not an access token")
        bearer = Bearer(user_id=int(claims["sub"]), expires_at=claims.get("exp", 0))
        accepted.add(sent.token, bearer)
    return bearer


def install(app: Flask, *, secret: str, previous_secret: str = "") -> None:
    """Sign with the secret; accept what it or the previous one has signed with HS256, until it expires.

    Anything else is a 401. Two secrets let one be replaced while tokens of the other are still in use.
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
    app.extensions[_EXTENSION] = Accepted(time.time)
    manager = JWTManager(app)
    manager.additional_headers_loader(lambda _: {"kid": _key_id(secret)})
    manager.decode_key_loader(lambda header, _: keys.get(str(header.get("kid"))) or _unknown_key())
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


def current_user_id() -> int:
    """Return whom the current request's token names."""
    return int(g.user_id)
