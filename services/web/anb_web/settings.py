"""What the web tier is told by its environment."""

import re
from dataclasses import dataclass, field

from anb.abuse_limits import AbuseLimits
from anb.settings import Settings, variable
from anb.upload_limits import UploadLimits

# As browsers write it: no path, no port that the scheme has anyway. https://www.rfc-editor.org/rfc/rfc6454#section-6.2
_ORIGIN = re.compile(
    r"(?!http://[^:]*:80\Z|https://[^:]*:443\Z)https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?"
)
_MIN_SECRET_BYTES = 32  # HMAC with SHA-256 wants a key as long as its hash: RFC 7518, section 3.2


@dataclass(frozen=True, kw_only=True)
class WebSettings(Settings):
    """The product's settings, and what the API alone needs.

    `jwt_secret` signs tokens; `jwt_previous_secret` is the one before, while it is being replaced. `address_secret`
    is the key under which addresses are hashed: another one makes strangers of all that are known. `cors_origins`
    are the sites that may call the API from a browser, separated by commas. `media_url` is where everybody reads
    published videos; without it their links are signed. The limits are for load tests to raise.
    """

    jwt_secret: str = field(repr=False)
    jwt_previous_secret: str = field(default="", repr=False)
    address_secret: str = field(repr=False)
    cors_origins: str = ""
    media_url: str = ""
    max_open_reservations: int = UploadLimits.open_reservations
    max_waiting_bytes: int = UploadLimits.waiting_bytes
    max_uploads_an_hour: int = UploadLimits.uploads_an_hour
    max_sign_ups_an_hour_per_address: int = AbuseLimits.sign_ups_an_hour_per_address
    max_votes_a_minute_per_address: int = AbuseLimits.votes_a_minute_per_address
    max_votes_a_minute_per_account: int = AbuseLimits.votes_a_minute_per_account

    @property
    def upload_limits(self) -> UploadLimits:
        """Return what one player may upload."""
        return UploadLimits(
            open_reservations=self.max_open_reservations,
            waiting_bytes=self.max_waiting_bytes,
            uploads_an_hour=self.max_uploads_an_hour,
        )

    @property
    def abuse_limits(self) -> AbuseLimits:
        """Return how often an address and an account may sign up and vote."""
        return AbuseLimits(
            sign_ups_an_hour_per_address=self.max_sign_ups_an_hour_per_address,
            votes_a_minute_per_address=self.max_votes_a_minute_per_address,
            votes_a_minute_per_account=self.max_votes_a_minute_per_account,
        )

    @property
    def allowed_origins(self) -> list[str]:
        """The sites that may call the API from a browser."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    def problems(self) -> list[str]:
        """Return a sentence for each setting that cannot be used."""
        short = [
            variable(name)
            for name in ("jwt_secret", "address_secret")
            if len(getattr(self, name).encode()) < _MIN_SECRET_BYTES and not self.is_pending(name)
        ]
        return [
            *super().problems(),
            *(f"{name} must have at least {_MIN_SECRET_BYTES} bytes" for name in short),
            *(
                [f"ANB_MEDIA_URL must be an origin like https://media.example.org, not {self.media_url!r}"]
                if self.media_url and not _ORIGIN.fullmatch(self.media_url)
                else []
            ),
            *(
                f"ANB_CORS_ORIGINS must be origins like https://app.example.org, separated by commas, not {origin!r}"
                for origin in self.allowed_origins
                if not _ORIGIN.fullmatch(origin)
            ),
        ]
