"""People who sign up."""

from uuid import uuid4

PASSWORD = "StrongPass123"
NAMES = {"first_name": "Ana", "last_name": "Gil", "city": "Bogotá", "country": "Colombia"}


def registration(**values: str) -> dict[str, str]:
    """What somebody sends to sign up, each with another address."""
    return {
        **NAMES,
        "email": f"{uuid4().hex}@example.com",
        "password1": PASSWORD,
        "password2": PASSWORD,
        **values,
    }
