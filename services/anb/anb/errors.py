"""Why a request is refused.

Refusal
├── Invalid           what was sent breaks a rule; `fields` says which
├── Unauthenticated   nobody we know, or no longer
├── Forbidden         it is somebody else's
├── NotFound          there is no such thing
├── Conflict          its state does not allow it
│   └── AlreadyVoted
├── TooManyRequests   too often; worth another try after a while
└── Unavailable       a part that we need is away; worth another try
    └── Overloaded    too much of the same is being done already
"""

from typing import ClassVar


class Refusal(Exception):
    """A request that we turn down, with a sentence in Spanish for whoever sent it."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, fields: dict[str, str] | None = None) -> None:
        """`fields` names each input that is wrong and says why."""
        super().__init__(message)
        self.message = message
        self.fields = fields or {}


class Invalid(Refusal):
    """What was sent breaks a rule."""

    code = "invalid"


class Unauthenticated(Refusal):
    """Nobody we know, or no longer."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """It is somebody else's."""

    code = "forbidden"


class NotFound(Refusal):
    """There is no such thing."""

    code = "not_found"


class Conflict(Refusal):
    """Its state does not allow it."""

    code = "conflict"


class AlreadyVoted(Conflict):
    """A voter has one vote per video."""

    code = "already_voted"


class TooManyRequests(Refusal):
    """It was asked too often; `retry_after_seconds` says when it may be asked again."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(Refusal):
    """A part that we need is away for the moment."""

    code = "unavailable"
    retry_after_seconds = 5


class Overloaded(Unavailable):
    """Too much of the same is being done or waits already."""

    retry_after_seconds = 2

    def __init__(self) -> None:
        super().__init__("Hay demasiadas peticiones a la vez. Inténtalo de nuevo en unos segundos.")
