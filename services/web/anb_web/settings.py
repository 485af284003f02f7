"""What the web tier is told by its environment."""

from dataclasses import dataclass, field

from anb.settings import Settings

_SHORTEST_SECRET_BYTES = 32  # HS256 wants a key as long as its hash: RFC 7518, section 3.2


@dataclass(frozen=True, kw_only=True)
class WebSettings(Settings):
    """The product's settings, the secret that signs tokens and, while it is being replaced, the one before."""

    jwt_secret: str = field(repr=False)
    jwt_previous_secret: str = field(default="", repr=False)

    def complaints(self) -> list[str]:
        """Return a sentence for each setting that cannot be used."""
        short = len(self.jwt_secret.encode()) < _SHORTEST_SECRET_BYTES
        return super().complaints() + (
            [f"ANB_JWT_SECRET must have at least {_SHORTEST_SECRET_BYTES} bytes"] if short else []
        )
