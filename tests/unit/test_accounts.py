import pytest

from anb.accounts import Registration
from anb.errors import Invalid
from tests.people import registration

SENT = registration(email="john@example.com")


def refused(**changes):
    with pytest.raises(Invalid) as refusal:
        Registration.from_fields({**SENT, **changes})
    return refusal.value.fields


def test_names_are_stored_without_surrounding_space():
    assert Registration.from_fields({**SENT, "first_name": "  Ana María "}).first_name == "Ana María"


def test_emails_are_stored_in_lower_case():
    assert Registration.from_fields({**SENT, "email": " John@Example.COM "}).email == "john@example.com"


def test_unknown_fields_are_ignored():
    assert Registration.from_fields({**SENT, "votes": 1000, "id": 1}) == Registration.from_fields(SENT)


def test_every_wrong_field_is_named():
    with pytest.raises(Invalid) as refusal:
        Registration.from_fields({})

    assert set(refusal.value.fields) == {
        "first_name",
        "last_name",
        "email",
        "city",
        "country",
        "password1",
        "password2",
    }


@pytest.mark.parametrize("name", ["first_name", "last_name", "email", "city", "country"])
@pytest.mark.parametrize("value", [None, "", "   ", 7, ["a"], {"a": 1}, True, "a\x00b", "a\ud800b", "x" * 256])
def test_a_field_that_is_no_line_of_text_is_refused(name, value):
    assert set(refused(**{name: value})) == {name}


@pytest.mark.parametrize(
    "email",
    ["john", "john@", "@example.com", "a b@example.com", "a@b@c.com", "a@-x.com", "a@exa_mple.com", "á@x.com"],
)
def test_what_is_no_email_address_is_refused(email):
    assert set(refused(email=email)) == {"email"}


@pytest.mark.parametrize("password", [None, ""])
def test_both_passwords_have_to_be_there(password):
    assert set(refused(password1=password, password2=password)) == {"password1", "password2"}


@pytest.mark.parametrize("password", ["short12", "x" * 129, 12345678, ["StrongPass123"], "abc\ud800defgh"])
def test_a_password_has_8_to_128_characters(password):
    assert set(refused(password1=password, password2=password)) == {"password1"}


@pytest.mark.parametrize("password", ["x" * 8, "ñandú con espacios", "x" * 128, "familia 👩‍👩‍👧", "می‌خواهم رمز"])
def test_any_characters_but_control_characters_make_a_password(password):
    assert Registration.from_fields({**SENT, "password1": password, "password2": password}).password == password


@pytest.mark.parametrize("control", ["\n", "\t", "\x00", "\x7f", "\x85"])
def test_a_password_with_a_control_character_is_refused(control):
    password = f"Strong{control}Pass123"

    assert set(refused(password1=password, password2=password)) == {"password1"}


@pytest.mark.parametrize("password2", ["StrongPass124", None, 3])
def test_both_passwords_must_be_equal(password2):
    assert set(refused(password2=password2)) == {"password2"}


def test_the_password_does_not_show_when_a_registration_is_printed():
    assert "StrongPass123" not in repr(Registration.from_fields(SENT))
