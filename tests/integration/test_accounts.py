import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from sqlalchemy import select, text

from anb import accounts, throttle
from anb.bulkhead import Bulkhead
from anb.errors import Conflict, Overloaded, TooManyRequests, Unauthenticated, Unavailable
from anb.models import User

OWN, OTHER = "10.0.0.1", "10.0.0.2"
RIVALS = [f"203.0.{number // 256}.{number % 256}" for number in range(1000)]


def registration(email="john@example.com"):
    fields = {"first_name": "John", "last_name": "Doe", "city": "Bogotá", "country": "Colombia"}
    return accounts.Registration(**fields, email=email, password="StrongPass123")


def sign_up(engine, email="john@example.com"):
    with engine.begin() as connection:
        hashed = accounts.hash_password("StrongPass123")
        return accounts.sign_up(connection, registration=registration(email), password_hash=hashed)


def test_only_a_hash_of_the_password_is_stored(engine):
    sign_up(engine)

    with engine.begin() as connection:
        assert connection.scalar(select(User.password_hash)).startswith("$argon2id$")


def test_an_email_has_one_account(engine):
    sign_up(engine)

    with pytest.raises(Conflict) as refusal:
        sign_up(engine)
    assert set(refusal.value.fields) == {"email"}


def test_emails_that_differ_in_an_accent_are_different(engine):
    sign_up(engine, "jose@example.com")

    sign_up(engine, "josé@example.com")


def test_the_right_password_opens_the_account(engine):
    user_id = sign_up(engine)

    entered = {"email": " JOHN@example.com ", "password": "StrongPass123"}
    assert accounts.authenticate(engine, **entered, client_address="10.0.0.1") == user_id


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
def test_anything_else_is_refused_with_the_same_words(engine, email, password):
    sign_up(engine)

    with pytest.raises(Unauthenticated, match="Correo electrónico o contraseña incorrectos"):
        accounts.authenticate(engine, email=email, password=password, client_address="10.0.0.1")


@pytest.fixture
def log_in(engine):
    """Return the account's id, or the refusal."""

    def attempt(password, client_address=OWN, *, email="john@example.com"):
        try:
            return accounts.authenticate(engine, email=email, password=password, client_address=client_address)
        except (Unauthenticated, TooManyRequests, Unavailable) as refusal:
            return refusal

    return attempt


@pytest.fixture
def enter(log_in):
    return lambda client_address=OWN: log_in("StrongPass123", client_address)


@pytest.fixture
def guess(log_in):
    return lambda client_address=OWN: log_in("WrongPass123", client_address)


@pytest.fixture
def let_pass(engine):
    """Make everything that was counted so many seconds older."""

    def shift(seconds):
        times = ", ".join(
            f"{name} = {name} - INTERVAL {seconds} SECOND" for name in ("last_at", "blocked_until", "expires_at")
        )
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE login_failures SET {times}"))  # noqa: S608 numbers of our own

    return shift


@pytest.fixture
def look(engine):
    """Count a look without the hash, which the clock of these tests knows nothing of; return the wait, if any."""

    def count(client_address, *, is_right=False):
        try:
            attempt = throttle.begin(engine, email="john@example.com", client_address=client_address)
        except TooManyRequests as refusal:
            return refusal.retry_after_seconds
        if is_right:
            attempt.succeed(engine)
        else:
            attempt.fail(engine)
        return 0

    return count


@pytest.fixture
def looks_of(look, let_pass):
    """Count the looks that a patient rival gets, who tries one address after the other as soon as one may."""

    def count(addresses, *, seconds):
        looks, passed_seconds, waits, ways = 0, 0, [], cycle(addresses)
        began = time.monotonic()  # on a slow machine asking takes time as well, in which the rival waits
        while passed_seconds + time.monotonic() - began < seconds:
            if wait := look(next(ways)):
                waits.append(wait)
                # Another address might have to wait for less
                if len(waits) == min(len(addresses), 20):
                    let_pass(min(waits))
                    passed_seconds += min(waits)
                    waits.clear()
            else:
                looks += 1
                waits.clear()
        return looks

    return count


class TestGuessing:
    def test_sixty_guesses_at_once_get_no_more_looks_than_sixty_in_turn(self, engine, guess):
        sign_up(engine)

        with ThreadPoolExecutor(60) as threads:
            answers = list(threads.map(lambda _: guess(), range(60)))

        looked = sum(isinstance(answer, Unauthenticated) for answer in answers)
        assert looked <= 10
        assert sum(isinstance(answer, TooManyRequests | Unavailable) for answer in answers) == 60 - looked

    def test_nobody_waits_for_those_who_sign_in_at_the_same_moment(self, engine, enter, log_in, let_pass):
        user_id = sign_up(engine)
        enter()

        # What others count who have begun later than we, and have had the rows before us, lies ahead of our time
        let_pass(-30)

        assert enter() == user_id
        assert isinstance(log_in("WrongPass123", email="another@example.com"), Unauthenticated)

    def test_sixty_addresses_at_once_get_no_more_looks_than_sixty_in_turn(self, engine, guess):
        sign_up(engine)

        with ThreadPoolExecutor(60) as threads:
            answers = list(threads.map(guess, RIVALS[:60]))

        assert sum(isinstance(answer, Unauthenticated) for answer in answers) <= 20

    def test_a_rival_at_many_addresses_does_not_reach_whoever_signed_in_before(self, engine, enter, guess):
        user_id = sign_up(engine)
        enter()
        for rival in RIVALS[:30]:
            guess(rival)

        assert enter() == user_id
        assert isinstance(guess(OTHER), TooManyRequests)

    def test_a_rival_at_one_address_does_not_reach_a_new_device_elsewhere(self, engine, enter, guess):
        user_id = sign_up(engine)
        for _ in range(15):
            guess(RIVALS[0])

        assert enter(OTHER) == user_id

    def test_a_neighbour_who_guesses_other_accounts_does_not_reach_whoever_signed_in_before(
        self, engine, enter, log_in
    ):
        user_id = sign_up(engine)
        enter()
        for number in range(200):
            throttle.begin(engine, email=f"{number}@example.com", client_address=OWN)

        assert enter() == user_id
        assert isinstance(log_in("WrongPass123", email="new@example.com"), TooManyRequests)

    def test_a_known_pair_may_fail_more_often_and_then_waits_half_a_minute_at_most(self, look, let_pass):
        look(OWN, is_right=True)

        assert [look(OWN) for _ in range(31)] == [0] * 30 + [2]
        waits: list[float] = []
        for _ in range(10):
            let_pass(waits[-1] if waits else 2)
            assert look(OWN) == 0
            waits.append(look(OWN))
        assert waits[-1] in {30, 31}

    def test_a_known_pair_is_forgotten_after_three_months(self, look, let_pass):
        look(OWN, is_right=True)
        let_pass(91 * 24 * 3600)

        assert [look(OWN) for _ in range(11)] == [0] * 10 + [2]

    def test_a_newcomer_waits_half_a_minute_at_most_and_goes_before_those_who_failed(self, look, let_pass):
        for rival in RIVALS[:20]:
            look(rival)
        for _ in range(8):
            let_pass(120)
            assert look(RIVALS[0]) == 0

        assert look(OWN) <= 31
        let_pass(look(OWN))
        assert look(RIVALS[0]) > 0
        assert look(OWN, is_right=True) == 0

    def test_a_thousand_addresses_are_too_few_to_keep_a_newcomer_out_for_good(self, look, let_pass):
        """Each goes first once a day; then the newcomer does."""
        for rival in RIVALS:
            while wait := look(rival):
                let_pass(wait)

        let_pass(look(OWN))
        assert all(look(rival) > 0 for rival in RIVALS[::100])
        assert look(OWN, is_right=True) == 0

    @pytest.mark.parametrize(("addresses", "most"), [(1, 90), (10, 132), (1000, 142)])
    def test_a_rival_gets_some_two_looks_a_minute_from_however_many_addresses(self, looks_of, addresses, most):
        assert looks_of(RIVALS[:addresses], seconds=3600) <= most

    def test_failures_of_the_known_pair_make_those_wait_who_failed_elsewhere(self, look, let_pass):
        look(OWN, is_right=True)
        for rival in RIVALS[:20]:
            look(rival)
        let_pass(59)
        look(OWN)

        assert look(RIVALS[0]) > 30

    def test_a_right_password_takes_its_own_count_back_and_no_other(self, look):
        for _ in range(9):
            look(OWN)
        for _ in range(3):
            look(OWN, is_right=True)

        # Nine failures in all, of the thirty that a pair has which signed in
        assert [look(OWN) for _ in range(22)] == [0] * 21 + [2]

    def test_a_look_for_which_there_was_no_place_does_not_count(self, engine, look):
        for _ in range(20):
            throttle.begin(engine, email="john@example.com", client_address=OWN).withdraw(engine)

        assert look(OWN) == 0

    def test_who_finds_no_place_to_be_checked_has_not_failed(self, engine, guess, monkeypatch):
        sign_up(engine)
        with monkeypatch.context() as crowded:
            crowded.setattr(accounts, "_hashing", Bulkhead(running=0))
            assert all(isinstance(guess(), Overloaded) for _ in range(12))

        assert isinstance(guess(), Unauthenticated)

    def test_a_right_password_does_not_end_the_wait_of_somebody_else(self, engine, look):
        attempt = throttle.begin(engine, email="john@example.com", client_address=OWN)
        while not look(OWN):
            pass
        attempt.succeed(engine)

        with engine.begin() as connection:
            blocked = connection.scalar(
                text("SELECT COUNT(*) FROM login_failures WHERE blocked_until > UTC_TIMESTAMP(6)")
            )
        assert blocked == 1

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
            ("::ffff:10.0.0.1", "10.0.0.1", True),
            ("10.0.0.1", "10.0.0.2", False),
            ("", "unknown", False),
        ],
    )
    def test_an_ipv6_network_is_one_address(self, one, other, same):
        subjects = [throttle.Subjects.of(email="john@example.com", client_address=each) for each in (one, other)]

        assert (subjects[0] == subjects[1]) is same

    def test_what_means_nothing_any_more_is_deleted(self, engine, look, let_pass):
        look(OTHER)
        look(OWN, is_right=True)
        let_pass(2 * 24 * 3600)

        with engine.begin() as connection:
            assert throttle.purge(connection) == 4
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM login_failures")) == 1
