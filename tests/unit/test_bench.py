"""The measurements' runner, its exit codes, and how what they find gets into the documentation."""

import json
import re
from pathlib import Path

import pytest
from gunicorn.config import KNOWN_SETTINGS

from anb_web import gunicorn_conf
from bench import __main__ as runner
from bench import api_floor, report
from bench.figures import Rounds
from bench.report import CannotMeasure, Report, publish, table

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def published(monkeypatch):
    """What has been written into the documentation."""
    published: dict[str, str] = {}
    monkeypatch.setattr(report, "publish", published.__setitem__)
    return published


@pytest.fixture
def answer(monkeypatch):
    """Ask the runner, and let the measurement find that, or fail with the error."""

    def answer(*options, missed=(), error=None):
        def measure(*, quick):
            if error:
                raise error
            text = table(("case", "ms"), [("login", 5 if quick else 50)])
            return Report(conditions="3 rounds", text=text, missed=missed, figures=[Rounds([(3.0, 2.0)])])

        monkeypatch.setitem(runner.QUESTIONS, "abuse", measure)
        return runner.main(["abuse", *options])

    return answer


def test_a_measurement_goes_to_the_terminal_and_the_documentation(answer, published, capsys):
    assert answer() == 0
    printed = capsys.readouterr().out
    assert "| login | 50 |" in printed
    assert printed.endswith("Every limit held.\n")
    assert published == {"abuse": printed.removesuffix("\n")}


def test_a_quick_one_leaves_the_documentation_alone(answer, published, capsys):
    assert answer("--quick") == 0
    assert "| login | 5 |" in capsys.readouterr().out
    assert not published


def test_every_figure_is_there_as_json(answer, capsys):
    answer("--json", missed=["too slow"])

    found = json.loads(capsys.readouterr().out)
    assert found["figures"] == [{"pairs": [[3.0, 2.0]]}]
    assert found["missed"] == ["too slow"]


def test_a_missed_limit_is_one(answer, published):
    assert answer(missed=["too slow"]) == 1
    assert published["abuse"].endswith("Missed: too slow.")


def test_an_unknown_question_is_two():
    assert runner.main(["nothing"]) == 2


def test_what_cannot_be_measured_is_three(answer, published, capsys):
    assert answer(error=CannotMeasure("this takes two processors")) == 3
    assert capsys.readouterr().err == "bench: this takes two processors\n"
    assert not published


@pytest.mark.parametrize("question", runner.QUESTIONS)
def test_every_question_has_its_place_in_the_documentation_and_a_verb(question):
    pages = [page.read_text() for page in (ROOT / "docs").glob("*.md")]

    assert sum(f"<!-- {question}: begin -->" in page and f"<!-- {question}: end -->" in page for page in pages) == 1
    assert re.search(rf"python -m bench {question}( |$)", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- abuse: begin -->\nold\n<!-- abuse: end -->\nafter\n")

    publish("abuse", "new", docs=tmp_path)

    assert page.read_text() == "before\n<!-- abuse: begin -->\nnew\n<!-- abuse: end -->\nafter\n"


def test_the_ratio_is_the_median_of_the_rounds():
    rounds = Rounds([(2.0, 1.0), (9.0, 3.0), (10.0, 1.0)])

    assert (rounds.ratio, rounds.medians) == (3.0, (9.0, 1.0))


def test_the_least_is_served_with_the_apis_settings_but_for_what_runs_beside_its_requests():
    ours = {setting.name for setting in KNOWN_SETTINGS} & vars(gunicorn_conf).keys()

    assert ours - set(api_floor.__all__) == {"post_worker_init", "worker_exit"}
