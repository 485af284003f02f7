"""Who may do things: sign-up and login."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, literal, select, update

from anb import abuse_limits, emails, texts, throttle
from anb.abuse_limits import AbuseLimits
from anb.bulkhead import Bulkhead
from anb.database import DuplicateKey
from anb.errors import Conflict, Invalid, NotFound, Overloaded, Unauthenticated
from anb.models import PasswordReset, User, now

# What browsers accept in an e-mail field: https://html.spec.whatwg.org/#valid-e-mail-address
_EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_MAX_LENGTHS = {"first_name": 100, "last_name": 100, "email": 254, "city": 100, "country": 100}
_SIGN_UP = insert(User)
# Two looks in indexes of their own; an account from before that shares a mailbox has its own address alone
_BY_EMAIL = (
    select(User.id, User.password_hash, literal(0).label("by_another_spelling"))
    .where(User.email == bindparam("email"))
    .union_all(select(User.id, User.password_hash, literal(1)).where(User.canonical_email == bindparam("canonical")))
    .order_by("by_another_spelling")
    .limit(1)
)
_BY_ID = select(User.id).where(User.id == bindparam("id"))
_BY_HASH = select(User.id).where(func.sha2(User.email, 256) == bindparam("sha256"))
RESET_SECONDS = 1800
_RESET_TAKEN_BACK = delete(PasswordReset).where(PasswordReset.user_id == bindparam("id"))
_RESET = insert(PasswordReset).values(expires_at=now(plus_seconds=RESET_SECONDS))
_RESET_OPEN = (
    select(PasswordReset.user_id)
    .where(PasswordReset.token_sha256 == bindparam("sha256"), PasswordReset.expires_at > now())
    .with_for_update()
)
_PASSWORD_SET = update(User).where(User.id == bindparam("user")).values(password_hash=bindparam("new_hash"))
_MIN_PASSWORD_LENGTH, _MAX_PASSWORD_LENGTH = 8, 128

# OWASP's Password Storage Cheat Sheet calls this as strong as 19 MiB twice, which takes a quarter more CPU: its
# memory does not fit the processor's cache
_hasher = PasswordHasher(time_cost=5, memory_cost=7 * 1024, parallelism=1)
# An unknown e-mail must cost as much time as a wrong password; nobody's password has this hash
_NOBODYS_HASH = _hasher.hash("nobody")
# Per process, of which there is one per core: more at once would only take the CPU from everybody else. A class that
# signs in at the same moment finds places, and waits for a second; for some when the CPU is short.
_hashing = Bulkhead(running=1, waiting=31, max_wait_seconds=10)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What somebody says of themselves at sign-up, checked."""

    first_name: str
    last_name: str
    email: str
    city: str
    country: str
    password: str = field(repr=False)

    @classmethod
    def from_fields(cls, sent: Mapping[str, Any]) -> Self:
        """Check what was sent; Invalid names every field that is wrong. Unknown fields are ignored."""
        values, wrong = {}, {}
        for name, max_length in _MAX_LENGTHS.items():
            read = texts.title if name == "email" else texts.name
            try:
                values[name] = read(sent.get(name), max_length=max_length)
            except texts.Unfit as reason:
                wrong[name] = str(reason)
        if "email" in values and not _EMAIL.fullmatch(values["email"]):
            wrong["email"] = "No es un correo electrónico válido."
        wrong |= _password_problems(sent.get("password1"), sent.get("password2"))
        if wrong:
            raise Invalid("Los datos enviados no son válidos.", fields=wrong)
        return cls(**{**values, "email": values["email"].lower()}, password=sent["password1"])


def hash_password(password: str) -> str:
    """Return the Argon2id hash that is stored; takes some 20 ms of CPU and 7 MiB of memory.

    Raises Overloaded when too many passwords wait to be hashed.
    """
    with _hashing:
        return _hasher.hash(password)


def sign_up(
    connection: Connection,
    *,
    registration: Registration,
    password_hash: str,
    address: str | None = None,
    limits: AbuseLimits = AbuseLimits(),
) -> int:
    """Create the account and return its id; Conflict when the e-mail has one already, which the database decides.

    `address` is the keyed hash of the client's, None where nobody knows it. An account of an address that signs up
    more often than the limits say is like any other, but for its votes, which are held for review.
    """
    account = {
        **{name: getattr(registration, name) for name in _MAX_LENGTHS},
        "canonical_email": emails.canonical(registration.email),
        "password_hash": password_hash,
        "votes_are_held": address is not None
        and abuse_limits.signs_up_too_often(connection, address=address, limits=limits),
    }
    try:
        created = connection.execute(_SIGN_UP, account)
    except DuplicateKey:
        text = "Ya existe una cuenta con este correo electrónico."
        raise Conflict(text, fields={"email": text}) from None
    user_id = int(created.lastrowid)
    if address is not None:
        abuse_limits.note_sign_up(connection, user_id=user_id, address=address)
    return user_id


def authenticate(engine: Engine, *, email: object, password: object, client_address: str) -> int:
    """Return the id of the user with this e-mail, in any spelling that reaches the mailbox, and this password.

    Raises Unauthenticated, with the same text and after the same time, whether the e-mail is unknown or the
    password wrong, TooManyRequests after many failures, and Overloaded when too many passwords wait to be checked.
    """
    wrong = Unauthenticated("Correo electrónico o contraseña incorrectos.")
    if not isinstance(email, str) or not isinstance(password, str) or len(password) > _MAX_PASSWORD_LENGTH:
        raise wrong
    email = email.strip().lower()
    canonical = emails.canonical(email)
    with engine.begin() as connection:
        asked = {"email": email, "canonical": canonical}
        found = connection.execute(_BY_EMAIL, asked).one_or_none() if _EMAIL.fullmatch(email) else None
    # Spellings of one mailbox are one account to guess at
    attempt = throttle.begin(engine, email=canonical, client_address=client_address)
    # No connection is kept from others while the CPU is busy with the hash
    try:
        is_right = _verified(found.password_hash if found else _NOBODYS_HASH, password)
    except Overloaded:
        attempt.withdraw(engine)
        raise
    if found is None or not is_right:
        attempt.fail(engine)
        raise wrong
    attempt.succeed(engine)
    return int(found.id)


def find(connection: Connection, who: str) -> int | None:
    """Return the id of an account: by that id, its e-mail address, or `sha256:` and the hash of the latter."""
    email = who.strip().lower()
    kind, _, digest = email.partition(":")
    if kind == "sha256":
        return connection.scalar(_BY_HASH, {"sha256": digest})
    if email.isdecimal():
        return connection.scalar(_BY_ID, {"id": int(email)})
    found = connection.execute(_BY_EMAIL, {"email": email, "canonical": emails.canonical(email)}).one_or_none()
    return int(found.id) if found else None


def hashed(text: str) -> str:
    """Return the SHA-256 of a token, or of an e-mail address in small letters, as it may be kept and sent."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def allow_new_password(connection: Connection, *, user_id: int, token_sha256: str) -> None:
    """Let whoever has the token choose the account's next password, once and within half an hour.

    Earlier tokens of the account are good for nothing from then on.
    """
    connection.execute(_RESET_TAKEN_BACK, {"id": user_id})
    connection.execute(_RESET, {"user_id": user_id, "token_sha256": token_sha256})


def check_new_password(sent: Mapping[str, Any]) -> tuple[str, str]:
    """Return the token and the password that was chosen; Invalid names what is wrong with them."""
    token, password = sent.get("token"), sent.get("password1")
    wrong = _password_problems(password, sent.get("password2"))
    if not isinstance(token, str) or not token:
        wrong |= {"token": "Este campo es obligatorio."}
    if wrong:
        raise Invalid("Los datos enviados no son válidos.", fields=wrong)
    return str(token), str(password)


def set_new_password(connection: Connection, *, token: str, password_hash: str) -> None:
    """Give the account of a token its new password, which uses the token up.

    Raises NotFound for a token that nobody has given out, that was used, or that is too old.
    """
    user_id = connection.scalar(_RESET_OPEN, {"sha256": hashed(token)})
    if user_id is None:
        raise NotFound("El enlace no es válido o ya venció. Pide uno nuevo.")
    connection.execute(_PASSWORD_SET, {"user": user_id, "new_hash": password_hash})
    connection.execute(_RESET_TAKEN_BACK, {"id": user_id})


def _verified(password_hash: str, password: str) -> bool:
    try:
        with _hashing:
            return _hasher.verify(password_hash, password)
    except (VerificationError, UnicodeEncodeError):
        return False


def _password_problems(password1: object, password2: object) -> dict[str, str]:
    wrong = {}
    if not isinstance(password1, str) or not password1:
        wrong["password1"] = "Este campo es obligatorio."
    elif not _MIN_PASSWORD_LENGTH <= len(password1) <= _MAX_PASSWORD_LENGTH:
        wrong["password1"] = f"Debe tener entre {_MIN_PASSWORD_LENGTH} y {_MAX_PASSWORD_LENGTH} caracteres."
    elif texts.holds_refused_characters(password1):
        wrong["password1"] = "Contiene caracteres no permitidos."
    if password2 is None or password2 == "":
        wrong["password2"] = "Este campo es obligatorio."
    elif password1 and password1 != password2:
        wrong["password2"] = "Las contraseñas no coinciden."
    return wrong
