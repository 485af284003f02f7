"""What the web tier is told by its environment."""

from dataclasses import dataclass, field

from anb.settings import Settings
from anb.videos import UploadLimits

_SHORTEST_SECRET_BYTES = 32  # HS256 wants a key as long as its hash: RFC 7518, section 3.2


@dataclass(frozen=True, kw_only=True)
class WebSettings(Settings):
    """The product's settings, the secret that signs tokens and, while it is being replaced, the one before.

    The limits are for load tests to raise.
    """

    jwt_secret: str = field(repr=False)
    jwt_previous_secret: str = field(default="", repr=False)
    max_open_reservations: int = UploadLimits.open_reservations
    max_waiting_bytes: int = UploadLimits.waiting_bytes
    max_uploads_an_hour: int = UploadLimits.uploads_an_hour

    @property
    def upload_limits(self) -> UploadLimits:
        """Return what one player may upload."""
        return UploadLimits(
            open_reservations=self.max_open_reservations,
            waiting_bytes=self.max_waiting_bytes,
            uploads_an_hour=self.max_uploads_an_hour,
        )

    def complaints(self) -> list[str]:
        """Return a sentence for each setting that cannot be used."""
        short = len(self.jwt_secret.encode()) < _SHORTEST_SECRET_BYTES
        return super().complaints() + (
            [f"ANB_JWT_SECRET must have at least {_SHORTEST_SECRET_BYTES} bytes"] if short else []
        )
