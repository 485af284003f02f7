"""Which picture stands for a clip."""

import numpy as np

from anb_worker.thumbnails import LOOKS_HEIGHT, LOOKS_WIDTH, choose

CHANCE = np.random.default_rng(5)


def moving(count):
    return [CHANCE.integers(20, 230, (LOOKS_HEIGHT, LOOKS_WIDTH)) for _ in range(count)]


def chosen(*looks):
    return choose(b"".join(np.asarray(look).astype(np.uint8).tobytes() for look in looks))


BLACK, WHITE = np.full((LOOKS_HEIGHT, LOOKS_WIDTH), 16), np.full((LOOKS_HEIGHT, LOOKS_WIDTH), 235)


def test_the_picture_after_a_second_is_usual():
    assert chosen(*moving(9)) == 1


def test_a_clip_of_a_picture_has_that_one():
    assert chosen(*moving(1)) == 0


def test_a_black_or_white_start_is_passed_over():
    assert chosen(*[BLACK] * 5, *moving(4)) == 5
    assert chosen(*[WHITE] * 5, *moving(4)) == 5


def test_a_fade_is_passed_over():
    for colour in (BLACK, WHITE):
        faded = [colour * (1 - part / 6) + look * part / 6 for part, look in enumerate(moving(6))]

        assert chosen(*faded, *moving(4)) in (5, 6)


def test_a_picture_that_stands_still_is_passed_over():
    still = moving(1) * 6

    assert chosen(*still, *moving(4)) == 6


def test_little_that_moves_is_enough():
    court = moving(1)[0]
    looks = []
    for place in range(5):
        looks.append(court.copy())
        looks[-1][20:22, 5 + 4 * place : 8 + 4 * place] = 255

    assert chosen(*[court] * 4, *looks) == 4


def test_a_clip_that_is_black_or_still_throughout_has_its_usual_picture():
    assert chosen(*[BLACK] * 6) == 1
    assert chosen(*moving(1) * 6) == 1


def test_an_early_picture_is_better_than_a_black_one():
    early = moving(2)

    assert chosen(*early, *[BLACK] * 6) in (0, 1)
