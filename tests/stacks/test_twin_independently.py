"""A second simulation of a burst, written another way, comes to the twin's figures: by seconds, without events."""

import math
import random
import statistics

import pytest

from twin.simulated import run_workers
from twin.templates import fleets

BURST_AT, RUNS = 1800, 40


def burst_second_by_second(seed, *, jobs=40, job_seconds=30, spread=0.3):
    """Return when each job of a burst was done, and the instance-seconds of the hour.

    A loop over seconds: an instance has two slots; the alarms are written out for 1 to 3 instances.
    """
    draw = random.Random(seed)  # noqa: S311 a draw that can be repeated
    variance = math.log(1 + spread**2)
    ready_at, slots, waiting, done = [0.0], [[0.0, 0.0]], jobs, []
    minutes: list[tuple[int, int]] = []
    quiet = cost = 0
    looks_at, measured_at = draw.randrange(60), draw.randrange(60)  # in each minute
    for now in range(3600):
        for index, pair in enumerate(slots):
            for slot in (0, 1):
                if waiting and ready_at[index] <= now and pair[slot] <= now:
                    pair[slot] = now + draw.lognormvariate(math.log(job_seconds) - variance / 2, variance**0.5)
                    done.append(pair[slot])
                    waiting -= 1
        busy = sum(until > now for pair in slots for until in pair)
        if now % 60 == measured_at:
            minutes.append((waiting + busy, len(slots)))
        if now % 60 == looks_at and len(minutes) > 1:
            count, size = minutes[-2]  # the newest minute cannot be read yet
            quiet = quiet + 1 if size > 1 and count / (size - 1) < 3 else 0
            warm = [at for at in ready_at if at <= now]
            if count / size >= 22:
                wanted = min(3, len(warm) + (2 if count / size >= 34 else 1))
                while len(slots) < wanted:
                    ready_at.append(now + 2 + 15 + draw.gauss(120, 24))
                    slots.append([0.0, 0.0])
            elif quiet >= 5 and len(slots) > 1:
                del slots[0], ready_at[0]
        cost += len(slots)
    return done, cost


def test_a_simulation_of_another_build_agrees_on_a_burst(academy):
    fleet = fleets(academy.assembly)["AnbWorker"]
    other = [burst_second_by_second(seed) for seed in range(RUNS)]
    ours = []
    for seed in range(RUNS):
        at = BURST_AT + 60 * random.Random(seed).random()  # noqa: S311 the same
        _, workers = run_workers(fleet, arrivals=[at] * 40, seconds=BURST_AT + 3600, seed=seed)
        ours.append((sorted(took for _, took in workers.took_seconds), workers.spent_instance_seconds() - BURST_AT))
    medians = [statistics.mean(statistics.median(done) for done, _ in runs) for runs in (ours, other)]
    lasts = [statistics.mean(max(done) for done, _ in runs) for runs in (ours, other)]
    costs = [statistics.mean(cost for _, cost in runs) for runs in (ours, other)]

    assert medians[0] == pytest.approx(medians[1], rel=0.05)
    assert lasts[0] == pytest.approx(lasts[1], rel=0.05)
    assert costs[0] == pytest.approx(costs[1], rel=0.05)
