import threading

from sqlalchemy import create_engine

from anb.periodic_tasks import catch_up


def rounds_of(*batches):
    """Return how many batches are taken in one round when so many rows are waiting at each look."""
    waiting = list(batches)

    def task(_):
        return waiting.pop(0)

    catch_up(create_engine("sqlite://"), task, full_batch=10, stop=threading.Event())
    return len(batches) - len(waiting)


def test_a_round_goes_on_while_batches_are_full():
    assert rounds_of(10, 10, 3, 10) == 3


def test_a_steady_stream_of_single_rows_waits_for_the_next_round():
    assert rounds_of(1, 1, 1) == 1
