from anb_web.tokens import Accepted, Bearer

ANA = Bearer(user_id=7, expires_at=100.0)


def accepted_at(now):
    accepted = Accepted(clock=lambda: now)
    accepted.add("Bearer a.b.c", ANA)
    return accepted


def test_an_accepted_token_is_known_until_it_expires():
    assert accepted_at(99.9).find("Bearer a.b.c") == ANA
    assert accepted_at(100.0).find("Bearer a.b.c") is None


def test_a_token_is_known_by_all_of_it():
    assert accepted_at(0.0).find("Bearer a.b.d") is None
    assert accepted_at(0.0).find("") is None


def test_there_is_a_limit_to_what_is_remembered():
    accepted = accepted_at(0.0)
    for number in range(5000):
        accepted.add(f"Bearer {number}", ANA)

    assert accepted.find("Bearer 4999") == ANA
    assert accepted.find("Bearer a.b.c") is None
