"""What is left of stories: numbers, a picture and a page."""

import json

import pytest

from twin.page import figures, write_page
from twin.pictures import draw


@pytest.fixture
def told():
    """What a story leaves: three videos, some readers, and a promise that did not hold."""
    moment = {
        "at_seconds": 0,
        "visible": 3,
        "in_flight": 0,
        "processed": 0,
        "healthy": 1,
        "workers_desired": 1,
        "web_desired": 1,
        "workers": {"zone 1": 1, "zone 2": 0},
        "web": {"zone 1": 0, "zone 2": 1},
    }
    return {
        "story": "burst",
        "sentence": "Videos come at once.",
        "speed": 6.0,
        "replays": True,
        "machine_processors": 2,
        "took_seconds": 60,
        "promises": [
            {"sentence": "nothing is lost", "why_not": ""},
            {"sentence": "no busy worker is interrupted", "why_not": "the template protects <nobody>"},
        ],
        "moments": [moment, moment | {"at_seconds": 60, "visible": 0, "processed": 3}],
        "notes": [[10, "three videos at once"]],
        "events": [{"fleet": "workers", "at_seconds": 0.0, "what": "launch", "instance": "AnbWorker-1"}],
        "answers_by_second": {"10": {"2xx": 9}, "11": {"2xx": 8, "5xx": 1}},
        "accepted_at_seconds": [10, 10, 10],
        "processed_after_seconds": [30, 40, 50],
        "instance_seconds": {"workers": 1800},
        "sizes": {"workers": [1, 3], "web": [2, 3]},
        "requests_per_target": 1500,
    }


def test_a_story_comes_to_numbers(told):
    assert list(figures(told)) == [
        "3 videos processed after 40 s (median) and 49 s (95 %)",
        "18 answers to readers, of which 1 failed",
        "workers: 0.50 instance hours, 1 launches",
        "60 s by this machine's clock at speed 6, encodings replayed",
    ]


def test_the_page_says_which_promise_was_not_kept_and_why(told, tmp_path):
    (tmp_path / "burst.json").write_text(json.dumps(told))

    page = write_page(tmp_path).read_text()

    assert "no busy worker is interrupted: the template protects &lt;nobody&gt;" in page
    assert page.count('class="broken"') == 1


@pytest.mark.parametrize("left_out", [{}, {"answers_by_second": {}}, {"accepted_at_seconds": []}])
def test_a_story_has_a_picture_whoever_takes_part(told, tmp_path, left_out):
    draw(told | left_out, tmp_path / "burst.png")

    assert (tmp_path / "burst.png").read_bytes().startswith(b"\x89PNG")
