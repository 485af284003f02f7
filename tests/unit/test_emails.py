import pytest

from anb.addresses import keyed_hash
from anb.emails import PROVIDERS, canonical


@pytest.mark.parametrize(
    "spelling",
    [
        *("ana.gil@gmail.com", "anagil@gmail.com", "a.n.a.gil@gmail.com", "ANA.GIL@Gmail.com", " anagil@gmail.com "),
        *("anagil+anb@gmail.com", "ana.gil+a+b@gmail.com", "anagil@googlemail.com"),
    ],
)
def test_every_spelling_of_a_mailbox_has_one_canonical_form(spelling):
    assert canonical(spelling) == "anagil@gmail.com"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana.gil@outlook.com", "anagil@outlook.com"),
        ("ana.gil@example.com", "anagil@example.com"),
        ("ana+gil@example.com", "ana@example.com"),
        ("ana@gmail.com", "ana@example.com"),
        ("ana@me.com", "ana@outlook.com"),
    ],
)
def test_what_may_be_two_mailboxes_stays_two(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("domain", sorted(PROVIDERS))
def test_what_follows_a_plus_names_no_other_mailbox_at_the_listed_providers(domain):
    assert canonical(f"ana+x@{domain}") == canonical(f"ana@{domain}")


@pytest.mark.parametrize("odd", ["+x@gmail.com", ".@gmail.com", "...@googlemail.com", "a@b@gmail.com", "gmail.com"])
def test_a_canonical_address_is_its_own(odd):
    assert canonical(canonical(odd)) == canonical(odd)


@pytest.mark.parametrize("other", ["::ffff:203.0.113.7"])
def test_an_address_has_the_same_hash_however_it_is_written(other):
    assert keyed_hash("203.0.113.7", key="k" * 32) == keyed_hash(other, key="k" * 32)


def test_a_network_of_ipv6_is_one_client():
    assert keyed_hash("2001:db8::1", key="k") == keyed_hash("2001:db8::ffff", key="k")
    assert keyed_hash("2001:db8::1", key="k") != keyed_hash("2001:db8:0:1::1", key="k")


def test_a_hash_of_an_address_depends_on_the_key():
    assert keyed_hash("203.0.113.7", key="a" * 32) != keyed_hash("203.0.113.7", key="b" * 32)
