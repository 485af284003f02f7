"""The scenarios that say most for their time, with the real processes: the rest is played by `make faults`."""

import pytest

from tests.faults import accidents, crashes
from tests.faults.stage import stage


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with stage(tmp_path_factory.mktemp("faults"), clock="tenth", workers=2) as here:
        yield here


def problems(here):
    """What the oracle says about the scenario that was played last."""
    return here.rows[-1].verdict.problems


def test_a_worker_that_dies_at_an_essential_step_loses_and_repeats_nothing(here):
    crashes.workers_die(here, 1, chosen=crashes.ESSENTIAL)

    assert problems(here) == []


def test_until_the_outcome_is_committed_the_message_stays_on_the_queue(here):
    crashes.message_outlives_outcome(here)

    assert problems(here) == []


def test_racing_votes_are_counted_exactly_once_while_processes_die(here):
    accidents.racing_votes(here, voters=6, videos=20)

    assert problems(here) == []


def test_when_everything_is_killed_and_the_queue_lost_every_video_still_ends(here):
    accidents.everything_dies(here, uploads=4)

    assert problems(here) == []
