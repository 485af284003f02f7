"""Load goes to this machine, or to what whoever sends it says is theirs."""

import pytest

from capacity.target import MAX_REMOTE_USERS, Refused, check


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://127.3.2.1", "http://localhost:8080", "http://[::1]:80"]
)
def test_this_machine_needs_no_confirmation(url):
    check(url, confirmed_host="", users=10_000)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://localhost.example.com"],
)
def test_another_host_is_refused_until_it_is_confirmed(url):
    with pytest.raises(Refused, match="is not this machine"):
        check(url, confirmed_host="", users=1)


def test_confirming_one_host_confirms_no_other():
    check("https://anb.example.com", confirmed_host="anb.example.com", users=1)
    with pytest.raises(Refused):
        check("https://anb.example.org", confirmed_host="anb.example.com", users=1)


def test_more_users_than_a_lab_takes_go_to_no_other_machine():
    with pytest.raises(Refused, match="users are more than"):
        check("https://a.example.com", confirmed_host="a.example.com", users=MAX_REMOTE_USERS + 1)


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1", "127.0.0.1:8080", "http://"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Refused, match="is no address"):
        check(url, confirmed_host="", users=1)
