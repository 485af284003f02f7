"""A bulkhead admits so much work at once, lets so much wait, and refuses the rest at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from anb import accounts
from anb.bulkhead import Bulkhead
from anb.errors import Overloaded


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_what_finds_no_place_is_refused_at_once():
    bulkhead = Bulkhead(running=2)

    with bulkhead, bulkhead, pytest.raises(Overloaded):
        bulkhead.enter()


def test_a_refusal_says_when_to_come_back():
    assert Overloaded().retry_after_seconds > 0


def test_a_place_that_was_given_back_is_free():
    bulkhead = Bulkhead(running=1)
    with bulkhead:
        pass

    with bulkhead:
        pass


def test_work_that_fails_gives_its_place_back():
    bulkhead = Bulkhead(running=1)
    with pytest.raises(ZeroDivisionError), bulkhead:
        _ = 1 / 0

    with bulkhead:
        pass


def test_who_waits_gets_the_next_turn(threads):
    bulkhead, released = Bulkhead(running=1, waiting=1, max_wait_seconds=30), threading.Event()

    def work():
        with bulkhead:
            return released.is_set()

    with bulkhead:
        waiting = threads.submit(work)
        released.set()

    assert waiting.result(30)


def test_waiting_has_an_end_and_leaves_no_place_taken():
    bulkhead = Bulkhead(running=1, waiting=1, max_wait_seconds=0.01)

    with bulkhead:
        for _ in range(3):
            with pytest.raises(Overloaded):
                bulkhead.enter()


def test_never_more_run_at_once_than_may(threads):
    bulkhead, together, most, lock = Bulkhead(running=2, waiting=6, max_wait_seconds=30), 0, 0, threading.Lock()
    begun = threading.Barrier(8)

    def work():
        nonlocal together, most
        begun.wait(30)
        for _ in range(50):
            with bulkhead:
                with lock:
                    together += 1
                    most = max(most, together)
                with lock:
                    together -= 1

    for each in [threads.submit(work) for _ in range(8)]:
        each.result(30)

    assert most <= 2


def test_passwords_are_hashed_for_a_bounded_number_and_the_others_are_refused_at_once(monkeypatch):
    released, class_of_thirty = threading.Event(), 30

    class HeldHasher:
        def hash(self, password):
            released.wait(30)
            return password

    def hashed(password):
        try:
            return accounts.hash_password(password)
        except Overloaded:
            return None
        finally:
            ended.release()

    monkeypatch.setattr(accounts, "_hasher", HeldHasher())
    ended = threading.Semaphore(0)
    with ThreadPoolExecutor(100) as threads:
        hashes = [threads.submit(hashed, str(number)) for number in range(100)]
        for _ in range(50):
            assert ended.acquire(timeout=30)
        released.set()

    done = [each.result() for each in hashes]
    assert class_of_thirty <= len([each for each in done if each is not None]) <= 50
