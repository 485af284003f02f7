"""Why a request is refused.

Refusal
├── Invalid           what was sent breaks a rule; `fields` says which
├── Unauthenticated   nobody we know, or no longer
├── Forbidden         it is somebody else's
├── NotFound          there is no such thing
├── Gone              there was such a thing, and it was taken away
├── Conflict          its state does not allow it
│   └── AlreadyVoted
├── TooManyRequests   too often; worth another try after a while
└── Unavailable       a part that we need is away; worth another try
    └── Overloaded    too much of the same is being done already
"""

from types import TracebackType
from typing import ClassVar, Self


class Refusal(Exception):
    """A request that we turn down, with a sentence in Spanish for whoever sent it."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, fields: dict[str, str] | None = None) -> None:
        """`fields` names each input that is wrong and says why."""
        super().__init__(message)
        self.message = message
        self.fields = fields or {}


class Invalid(Refusal):
    """What was sent breaks a rule; when only one field does, the message is that field's sentence."""

    code = "invalid"

    def __init__(self, message: str, *, fields: dict[str, str] | None = None) -> None:
        alone = fields is not None and len(fields) == 1
        super().__init__(next(iter(fields.values())) if fields and alone else message, fields=fields)


class WrongFields:
    """What is wrong with a request, gathered check by check, so that one refusal names every wrong field.

    Each check stands in a `with` block of its own, which swallows an Invalid that names fields.
    """

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Invalid) or not error.fields:
            return False
        self._fields = error.fields | self._fields  # the first problem about a field stays
        return True

    def refuse(self, message: str) -> None:
        """Raise Invalid if any field is wrong; `message` is for more than one."""
        if self._fields:
            raise Invalid(message, fields=self._fields)


class Unauthenticated(Refusal):
    """Nobody we know, or no longer."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """It is somebody else's."""

    code = "forbidden"


class NotFound(Refusal):
    """There is no such thing."""

    code = "not_found"


class Gone(Refusal):
    """There was such a thing, and it was taken away."""

    code = "gone"


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
