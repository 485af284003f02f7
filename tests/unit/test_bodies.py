import io
import socket
import threading
from contextlib import suppress

import pytest

from anb.errors import TooManyRequests, Unavailable
from anb_web.bodies import MIN_BYTES_PER_SECOND, PLACES, PLACES_PER_ADDRESS, WINDOW_SECONDS, Bodies, Body


def body(*, address="192.0.2.1", content=b"", stop_waiting=lambda: None):
    return Body(io.BytesIO(content), length=len(content), address=address, stop_waiting=stop_waiting)


class Endless:
    """A client that never ends."""

    def read(self, size):
        return bytes(size)


def arriving(address="192.0.2.1", *, bytes_per_second=100_000):
    """Return a body that has come at that speed for a while."""
    begun = Body(Endless(), length=10**9, address=address, stop_waiting=lambda: None)
    begun.read(1)
    for _ in range(3):
        begun.check_speed()
        begun.read(bytes_per_second)
    return begun


def is_ended(begun):
    try:
        begun.read(1)
    except Unavailable:
        return True
    return False


def fill(bodies, *, addresses):
    """Let each address take what it can get, and return what has a place."""
    taken = []
    for number in range(addresses):
        with suppress(TooManyRequests, Unavailable):
            for _ in range(PLACES):
                bodies.add(new := arriving(f"192.0.2.{number}"))
                taken.append(new)
    return [each for each in taken if not is_ended(each)]


class TestPlaces:
    def test_a_class_behind_one_address_is_admitted(self):
        bodies = Bodies()
        taken = [arriving() for _ in range(30)]
        for each in taken:
            bodies.add(each)

        assert not any(map(is_ended, taken))

    def test_an_address_has_a_bound(self):
        bodies = Bodies()

        assert len(fill(bodies, addresses=1)) == PLACES_PER_ADDRESS
        with pytest.raises(TooManyRequests):
            bodies.add(body(address="192.0.2.0"))

    def test_all_together_have_a_bound(self):
        assert len(fill(Bodies(), addresses=20)) == PLACES

    def test_whoever_holds_most_makes_room_for_another(self):
        bodies = Bodies()
        fill(bodies, addresses=10)
        honest = [arriving("198.51.100.1") for _ in range(PLACES // 11)]
        for each in honest:
            bodies.add(each)

        assert not any(map(is_ended, honest))

    def test_the_slowest_of_theirs_is_given_up(self):
        bodies = Bodies(places=3)
        theirs = [arriving(bytes_per_second=speed) for speed in (20_000, 10_000, 30_000)]
        for each in theirs:
            bodies.add(each)

        bodies.add(arriving("198.51.100.1"))

        assert list(map(is_ended, theirs)) == [False, True, False]

    def test_those_who_hold_the_same_do_not_push_each_other_out(self):
        bodies = Bodies(places=2)
        bodies.add(arriving("192.0.2.1"))
        bodies.add(arriving("192.0.2.2"))

        with pytest.raises(Unavailable):
            bodies.add(arriving("192.0.2.3"))

    def test_what_has_come_whole_is_not_given_up(self):
        bodies = Bodies(places=2)
        for _ in range(2):
            whole = body(content=b"whole")
            whole.read(100)
            bodies.add(whole)

        with pytest.raises(Unavailable):
            bodies.add(arriving("198.51.100.1"))

    def test_a_place_is_free_again_when_its_body_is_done(self):
        bodies, first = Bodies(places=1), body()
        bodies.add(first)
        bodies.remove(first)

        bodies.add(body())


class Slow:
    """A client whose bytes come when the test says so."""

    def __init__(self):
        self._receiver, self._sender = socket.socketpair()
        self._file = self._receiver.makefile("rb", buffering=0)
        self.body = Body(
            self._file,
            length=10**8,
            address="192.0.2.1",
            stop_waiting=lambda: self._receiver.shutdown(socket.SHUT_RD),
        )

    def look(self, *, seconds, bytes_per_second):
        """Let so many seconds pass, in each of which so much comes and is read."""
        for _ in range(seconds):
            left = bytes_per_second
            while left:
                piece = min(left, 4096)
                self._sender.sendall(bytes(piece))
                left -= len(self.body.read(piece))
            self.body.check_speed()

    def close(self):
        self._file.close()
        self._receiver.close()
        self._sender.close()


@pytest.fixture
def slow():
    client = Slow()
    yield client
    client.close()


class TestSpeed:
    def test_who_keeps_to_the_slowest_speed_is_waited_for(self, slow):
        slow.look(seconds=3 * WINDOW_SECONDS, bytes_per_second=MIN_BYTES_PER_SECOND)

    def test_a_gap_that_is_made_up_for_is_forgiven(self, slow):
        slow.look(seconds=5, bytes_per_second=MIN_BYTES_PER_SECOND * 4)
        slow.look(seconds=14, bytes_per_second=1)
        slow.look(seconds=5, bytes_per_second=MIN_BYTES_PER_SECOND * 4)

    def test_who_is_slower_is_ended_after_the_window(self, slow):
        slow.look(seconds=WINDOW_SECONDS, bytes_per_second=MIN_BYTES_PER_SECOND - 1)
        slow.body.check_speed()

        with pytest.raises(Unavailable):
            slow.body.read(1)

    def test_a_read_that_waits_ends_too(self, slow):
        slow.look(seconds=WINDOW_SECONDS, bytes_per_second=1)
        ended = []

        def read():
            with pytest.raises(Unavailable):
                slow.body.read(1)
            ended.append(True)

        waiting = threading.Thread(target=read)
        waiting.start()
        while not slow.body._is_waited_for:
            pass
        slow.body.check_speed()
        waiting.join(timeout=5)

        assert ended

    def test_what_has_come_whole_is_not_watched_any_more(self):
        whole = body(content=b"all of it", stop_waiting=lambda: pytest.fail("it was ended"))
        assert whole.read(100) == b"all of it"

        for _ in range(3 * WINDOW_SECONDS):
            whole.check_speed()

    def test_nobody_is_blamed_before_the_application_reads(self):
        unread = body(content=b"x", stop_waiting=lambda: pytest.fail("it was ended"))

        for _ in range(3 * WINDOW_SECONDS):
            unread.check_speed()
