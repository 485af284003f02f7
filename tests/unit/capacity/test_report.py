"""The documents say what the data say, and the check notices whatever is changed."""

import json

import pytest
from matplotlib.figure import Figure

from capacity import raw, report
from capacity.numbers import spanish
from capacity.report import FINDINGS, PLAN, Folder, Scenario, UnknownKey, unstated

TEXT = """# Resultados 2026

Con <!-- =speed.users --><!-- = --> usuarios tarda <!-- =speed.p95_seconds .1f --><!-- = --> s (p95, t3.small).
Se acepta <!-- =plan.max_seconds --><!-- = --> s.

<!-- table speed.curve -->
<!-- /table -->

<!-- figure speed.curve Segundos -->
<!-- /figure -->

1. `make run PORT=8080` y [enlace](https://example.com/4)
"""


def summarise(folder):
    seconds = raw.read(folder / "stage.json.gz")["seconds"]
    return {"users": 1200, "p95_seconds": max(seconds)}


def draw(summary):
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, summary["p95_seconds"]])
    return {"curve": figure}


SPEED = Scenario(
    name="speed",
    summarise=summarise,
    tables=lambda summary: {
        "curve": f"| usuarios | s |\n|---|---:|\n| {summary['users']} | {summary['p95_seconds']} |"
    },
    figures=draw,
)
GIVEN = {"plan": {"max_seconds": 1}}


@pytest.fixture
def folder(tmp_path):
    here = Folder(tmp_path)
    raw.write(here.raw("speed") / "stage.json.gz", {"seconds": [0.25, 0.75]})
    (tmp_path / FINDINGS).write_text(TEXT)
    (tmp_path / PLAN).write_text("El plan pide 5 minutos y <!-- =plan.max_seconds -->1<!-- = --> s.")
    assert report.write([SPEED], GIVEN, here) == []
    return here


def replace(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_what_was_just_written_holds(folder):
    text = (folder.root / FINDINGS).read_text()

    assert report.check([SPEED], GIVEN, folder) == []
    assert "-->1.200<!-- = --> usuarios" in text
    assert "-->0,8<!-- = --> s" in text
    assert "![Segundos](results/figures/speed-curve.svg)" in text


def test_a_number_changed_in_the_raw_data_is_noticed(folder):
    raw.write(folder.raw("speed") / "stage.json.gz", {"seconds": [0.25, 0.85]})

    assert "results/speed.json: does not follow from the data" in report.check([SPEED], GIVEN, folder)


def test_a_number_that_changes_no_result_is_noticed_in_the_raw_data_too(folder):
    raw.write(folder.raw("speed") / "stage.json.gz", {"seconds": [0.26, 0.75]})

    assert report.check([SPEED], GIVEN, folder) == ["results/speed.json: does not follow from the data"]


def test_a_raw_file_that_is_gone_is_noticed(folder):
    raw.write(folder.raw("speed") / "another.json.gz", {})

    assert report.check([SPEED], GIVEN, folder) == ["results/speed.json: does not follow from the data"]


def test_a_number_changed_in_the_results_is_noticed(folder):
    replace(folder.results("speed"), "1200", "1300")

    problems = report.check([SPEED], GIVEN, folder)

    assert "results/speed.json: does not follow from the data" in problems
    assert f"{FINDINGS}: speed.users is 1.300, not 1.200" in problems


def test_a_value_changed_in_the_text_is_noticed(folder):
    replace(folder.root / FINDINGS, "-->0,8<!--", "-->0,7<!--")

    assert report.check([SPEED], GIVEN, folder) == [f"{FINDINGS}: speed.p95_seconds is 0,8, not 0,7"]


def test_a_number_changed_in_a_table_is_noticed(folder):
    replace(folder.root / FINDINGS, "| 1200 |", "| 1500 |")

    assert report.check([SPEED], GIVEN, folder) == [f"{FINDINGS}: the table speed.curve is another"]


def test_a_number_added_to_the_text_is_noticed(folder):
    replace(folder.root / FINDINGS, "Se acepta", "Con 3.000 usuarios se acepta")

    assert report.check([SPEED], GIVEN, folder) == [f"{FINDINGS}: no data say 3.000"]


def test_a_changed_figure_is_noticed(folder):
    [figure] = folder.figures.iterdir()
    replace(figure, "</svg>", "<!-- --></svg>")

    assert report.check([SPEED], GIVEN, folder) == ["results/figures/speed-curve.svg: does not follow from the data"]


def test_another_picture_in_a_figures_place_is_noticed(folder):
    replace(folder.root / FINDINGS, "(results/figures/speed-curve.svg)", "(results/figures/other.svg)")

    assert report.check([SPEED], GIVEN, folder) == [f"{FINDINGS}: the figure speed.curve is another"]


def test_a_value_that_nobody_has_is_an_error(folder):
    replace(folder.root / FINDINGS, "=speed.users", "=speed.people")

    with pytest.raises(UnknownKey, match=r"speed\.people"):
        report.check([SPEED], GIVEN, folder)


def test_results_without_raw_data_are_noticed(folder):
    (folder.raw("speed") / "stage.json.gz").unlink()

    with pytest.raises(FileNotFoundError):
        report.check([SPEED], GIVEN, folder)


def test_what_was_not_measured_yet_is_told_as_such(tmp_path):
    (tmp_path / FINDINGS).write_text(TEXT)

    assert report.write([SPEED], GIVEN, Folder(tmp_path)) == []
    assert "Con <!-- =speed.users -->n. d.<!-- = --> usuarios" in (tmp_path / FINDINGS).read_text()
    assert "*Todavía sin medir.*" in (tmp_path / FINDINGS).read_text()


def test_a_number_of_what_was_not_measured_is_noticed(tmp_path):
    (tmp_path / FINDINGS).write_text("Con <!-- =speed.users -->1.200<!-- = --> usuarios")

    assert report.check([SPEED], GIVEN, Folder(tmp_path)) == [f"{FINDINGS}: speed.users is n. d., not 1.200"]


@pytest.mark.parametrize(
    "text", ["## 2. Curva de 3", "`8 MB`", "p95 de un t3.small con 720p y S3", "```\n5\n```", "[a](b/6)", "7. Uno"]
)
def test_names_code_headings_and_addresses_state_no_number(text):
    assert unstated(text) == []


@pytest.mark.parametrize(("text", "number"), [("Son 12,5 s.", "12,5"), ("| 7 |", "7"), ("Hasta 1.000.", "1.000")])
def test_a_number_in_the_text_is_found(text, number):
    assert unstated(text) == [number]


@pytest.mark.parametrize(
    ("value", "specification", "written"),
    [
        (1234.5, ".1f", "1.234,5"),
        (1200, "", "1.200"),
        (0.456, "", "0,46"),
        (0.05, ".0%", "5\u00a0%"),
        ("nginx", "", "nginx"),
        (True, "", "sí"),
    ],
)
def test_numbers_are_written_as_in_spanish(value, specification, written):
    assert spanish(value, specification) == written


def test_the_same_raw_data_are_the_same_bytes(tmp_path):
    raw.write(tmp_path / "a.json.gz", {"x": [1, 2]})
    raw.write(tmp_path / "b.json.gz", {"x": [1, 2]})

    first, second = raw.digests(tmp_path).values()
    assert first == second
    assert json.dumps(raw.read(tmp_path / "a.json.gz")) == '{"x": [1, 2]}'
