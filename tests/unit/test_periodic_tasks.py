import threading

from sqlalchemy import create_engine

from anb.periodic_tasks import PeriodicTask


def rounds_of(*batches):
    """Return how many batches are taken in one round when so many rows are waiting at each look."""
    waiting = list(batches)

    def work(_):
        return waiting.pop(0)

    task = PeriodicTask(name="test", interval_seconds=1, full_batch=10, work=work)
    task.catch_up(create_engine("sqlite://"), threading.Event())
    return len(batches) - len(waiting)


def test_a_round_goes_on_while_batches_are_full():
    assert rounds_of(10, 10, 3, 10) == 3


def test_a_steady_stream_of_single_rows_waits_for_the_next_round():
    assert rounds_of(1, 1, 1) == 1
