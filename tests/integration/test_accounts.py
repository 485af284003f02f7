import pytest

from anb import accounts
from anb.errors import Conflict, Unauthenticated


def registration(email="john@example.com"):
    fields = {"first_name": "John", "last_name": "Doe", "city": "Bogotá", "country": "Colombia"}
    return accounts.Registration(**fields, email=email, password="StrongPass123")


def sign_up(sessions, email="john@example.com"):
    with sessions.begin() as session:
        hashed = accounts.hash_password("StrongPass123")
        return accounts.sign_up(session, registration=registration(email), password_hash=hashed)


def test_only_a_hash_of_the_password_is_stored(sessions):
    assert sign_up(sessions).password_hash.startswith("$argon2id$")


def test_an_email_has_one_account(sessions):
    sign_up(sessions)

    with pytest.raises(Conflict) as refusal:
        sign_up(sessions)
    assert set(refusal.value.fields) == {"email"}


def test_emails_that_differ_in_an_accent_are_different(sessions):
    sign_up(sessions, "jose@example.com")

    sign_up(sessions, "josé@example.com")


def test_the_right_password_opens_the_account(sessions):
    user = sign_up(sessions)

    with sessions() as session:
        assert (
            accounts.authenticate(
                session, email=" JOHN@example.com ", password="StrongPass123", client_address="10.0.0.1"
            )
            == user.id
        )


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("john@example.com", "WrongPass123"),
        ("nobody@example.com", "StrongPass123"),
        ("nobody@example.com", "nobody"),
        ("john@example.com", ""),
        ("john@example.com", None),
        ("john@example.com", "x" * 1_000_000),
        ("john@example.com", "\ud800aaaaaaaa"),
        ({"$ne": ""}, {"$ne": ""}),
        ("john@example.com' --", "StrongPass123"),
        ("\ud800@example.com", "StrongPass123"),
    ],
)
def test_anything_else_is_refused_with_the_same_words(sessions, email, password):
    sign_up(sessions)

    with sessions() as session, pytest.raises(Unauthenticated, match="Correo electrónico o contraseña incorrectos"):
        accounts.authenticate(session, email=email, password=password, client_address="10.0.0.1")
