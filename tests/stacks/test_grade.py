"""Nothing of the statement is met but by evidence that is there."""

import ast
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from capacity.report import UNMEASURED
from scripts.grade import JUDGED, RESULTS, Facts, Item, State, TestResults, graded, rubric, told
from scripts.trace_requirements import ENVIRONMENT, Row
from stacks.rules.assembly import Assembly

ROOT = Path(__file__).parents[2]
ITEMS = [item for items in rubric().values() for item in items]
PASSED = """<testsuites><testsuite timestamp="{begun}">
<testcase classname="tests.unit.test_a.TestB" name="test_c[d]"/>
<testcase classname="tests.unit.test_a" name="test_what_breaks_a_rule[no queue]"/>
<testcase classname="tests.unit.test_a" name="test_e"><failure/></testcase>
<testcase classname="tests.unit.test_a" name="test_f"><skipped/></testcase></testsuite></testsuites>"""


class EveryTestPassed(TestResults):
    def problem(self, test):
        return "failed" if test in self.passed else ""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The files that evidence is looked for in, to be changed."""
    root = tmp_path_factory.mktemp("root")
    for name in ("docs", "capacity-planning"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, root)
    return root


@pytest.fixture
def facts(academy, copy):
    return Facts(copy, academy.assembly, EveryTestPassed({}))


def kept(item, facts):
    """Say whether all evidence of an item is there: what is still to be made cannot be taken away."""
    return bool(item.requirements or item.tests or item.documents) and graded(item, facts).state is not State.NOT_MET


def remove(assembly, row: Row):
    """Take away what the templates have, or let them have what they must not."""
    for template in assembly.templates.values():
        if row.none and not row.property:
            template["Resources"]["Extra"] = {
                "Type": f"AWS::{row.type}Extra" if row.type[-1] == ":" else f"AWS::{row.type}"
            }
        else:
            for name in [name for name, it in template["Resources"].items() if it["Type"] == f"AWS::{row.type}"]:
                del template["Resources"][name]


@pytest.mark.parametrize("item", [item for item in ITEMS if item.requirements], ids=lambda item: item.asked)
def test_without_a_resource_an_operation_or_a_file_its_item_is_not_met(facts, item):
    row = next(row for row in facts.rows if row.asked.startswith(item.requirements[0]))
    assert kept(replace(item, documents=(), figures=(), results=(), measured=False), facts)

    if row.operation or row.file:
        item = replace(item, requirements=("nothing of the kind",))
    elif row.type == ENVIRONMENT:
        facts = replace(facts, assembly=Assembly("eu-west-1", facts.assembly.templates))
    else:
        remove(facts.assembly, row)

    assert graded(replace(item, rules=()), facts).state is State.NOT_MET


def test_a_value_that_the_table_does_not_tell_is_not_met(facts):
    (item,) = (item for item in ITEMS if item.requirements == ("EC2 con 2 vCPU", "30 GiB"))
    facts.assembly.only("AnbWorker", "AWS::EC2::LaunchTemplate").definition["Properties"]["LaunchTemplateData"][
        "InstanceType"
    ] = "t3.large"

    assert graded(item, facts).state is State.NOT_MET


def test_a_broken_rule_is_not_met(facts):
    (item,) = (item for item in ITEMS if item.rules == ("LabLaunches",))
    assert kept(item, facts)
    facts.assembly.only("AnbWeb", "AWS::AutoScaling::AutoScalingGroup").definition["Properties"]["MaxSize"] = "20"

    assert graded(replace(item, requirements=()), facts).state is State.NOT_MET


@pytest.mark.parametrize(
    "item", [item for item in ITEMS if item.tests or item.requirements], ids=lambda item: item.asked
)
def test_without_the_result_of_a_test_its_item_is_not_met(facts, item):
    tests = item.tests or tuple(row.test for row in facts.rows if row.asked.startswith(item.requirements[0]))

    assert graded(item, replace(facts, tests=EveryTestPassed({tests[0]: False}))).state is State.NOT_MET


@pytest.mark.parametrize("item", [item for item in ITEMS if item.documents], ids=lambda item: item.asked)
def test_without_a_document_its_item_is_not_met(facts, item):
    path = facts.root / item.documents[0].partition("#")[0]
    if not path.exists():
        assert graded(item, facts).state is State.NOT_MET
        return

    text = path.read_text()
    path.unlink()
    try:
        assert graded(item, facts).state is State.NOT_MET
    finally:
        path.write_text(text)


def test_a_figure_that_no_document_shows_is_not_met(facts):
    item = Item(asked="Calidad", documents=("docs/performance.md",), figures=("docs/quality-footage.svg",))
    page = facts.root / "docs" / "performance.md"
    assert graded(item, facts).state is State.MET

    page.write_text(page.read_text().replace("quality-footage.svg", "another.svg"))

    assert graded(item, facts).state is State.NOT_MET


def test_a_figure_or_a_result_that_is_not_there_is_not_met(facts):
    figure = Item(asked="", documents=("docs/performance.md",), figures=("docs/none.svg",))

    assert graded(figure, facts).state is State.NOT_MET
    assert graded(Item(asked="", results=("capacity-planning/none.json",)), facts).state is State.NOT_MET


@pytest.mark.parametrize(
    "said", [UNMEASURED, "X es <!-- =x -->n. d.<!-- = -->", "Son **provisionales: faltan celdas**"]
)
def test_a_section_that_has_still_to_be_measured_is_not_met(facts, said):
    page = facts.root / "docs" / "measured.md"
    item = Item(asked="", documents=("docs/measured.md#capa-web",), measured=True)
    page.write_text("# Capa web\n\n" + "La capa web atiende sus usuarios. " * 20)
    assert graded(item, facts).state is State.MET

    page.write_text(page.read_text() + "\n\n" + said)

    assert graded(item, facts).state is State.NOT_MET


def test_a_section_that_says_nothing_is_not_met(facts):
    page = facts.root / "docs" / "empty.md"
    page.write_text("# Alta disponibilidad\n\nPor escribir.\n")

    assert graded(Item(asked="", documents=("docs/empty.md#alta",)), facts).state is State.NOT_MET


def test_what_nobody_looked_at_is_not_met(facts):
    assert graded(Item(asked="Todo"), facts).state is State.NOT_MET


def test_what_the_team_has_to_do_is_never_met_by_evidence(facts):
    item = Item(asked="Video", documents=("README.md",), team="Grabarlo")

    assert graded(item, facts).state is State.TEAM


@pytest.mark.parametrize("test", sorted({test for item in ITEMS for test in item.tests}))
def test_every_test_of_the_rubric_exists(test):
    file, *names = test.split("::")
    scope: ast.AST = ast.parse((ROOT / "tests" / file).read_text())
    for name in names:
        scope = next(node for node in ast.iter_child_nodes(scope) if getattr(node, "name", "") == name)

    assert isinstance(scope, ast.FunctionDef)


def test_the_weights_are_those_of_the_statement():
    by_section = {title: sum(item.weight for item in items) for title, items in rubric().items()}

    assert {title: weight for title, weight in by_section.items() if weight} == {
        "Calificación: actividades (70 %)": 70,
        "Calificación: pruebas de estrés (20 %)": 20,
        "Calificación: documento de arquitectura (10 %)": 10,
    }


def test_the_report_names_state_weight_evidence_and_what_is_wrong(facts):
    wrong = replace(ITEMS[2], documents=("docs/none.md",))

    printed = "\n".join(told({"Sección": [graded(wrong, facts)]}))

    assert "[!] no se cumple: Actividad 3." in printed
    assert "(20 %)" in printed
    assert "- 3. Hasta 3 workers (20 %): AnbWorker AWS::AutoScaling::AutoScalingGroup MaxSize = 3" in printed
    assert "! documento docs/none.md: no existe" in printed


def test_a_section_is_named_in_full_however_little_of_it_the_rubric_says(facts):
    item = Item(asked="Mensajería", documents=("docs/entrega4/arquitectura.md#mensajer",))

    (evidence,) = graded(item, facts).evidence

    assert evidence.what == "documento docs/entrega4/arquitectura.md#mensajería-asíncrona"


def test_it_is_said_once_why_no_test_shows_anything(facts):
    untested = "no hay build/tests.xml: ejecute `make test`"

    printed = [*told({"Sección": [graded(ITEMS[0], facts)]}, untested=untested)]

    assert printed[-1] == f"Ningún punto que pide una prueba se da por cumplido: {untested}."


@pytest.fixture
def judged(tmp_path):
    """A tree whose tests have run since its last change."""

    def write(begun="2026-01-01T00:00:00+00:00", changed="2025-12-31T00:00:00"):
        for name in JUDGED:
            path = tmp_path / name if "." in name else tmp_path / name / "file.py"
            path.parent.mkdir(exist_ok=True)
            path.touch()
            moment = time.mktime(time.strptime(changed, "%Y-%m-%dT%H:%M:%S"))
            os.utime(path, (moment, moment))
        (tmp_path / RESULTS).parent.mkdir(exist_ok=True)
        (tmp_path / RESULTS).write_text(PASSED.format(begun=begun))
        return TestResults.read(tmp_path)

    return write


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("unit/test_a.py::TestB::test_c", ""),
        ("unit/test_a.py::no_queue", ""),
        ("unit/test_a.py::test_e", "la prueba falla o se omitió"),
        ("unit/test_a.py::test_f", "la prueba falla o se omitió"),
        ("unit/test_a.py::test_c", "la prueba no se ejecutó"),
        ("unit/test_b.py::test_c", "la prueba no se ejecutó"),
    ],
)
def test_a_test_shows_something_only_if_it_has_passed(judged, test, said):
    assert judged().problem(test) == said


def test_results_from_before_the_last_change_show_nothing(judged):
    assert "make test" in judged(changed="2026-01-02T00:00:00").problem("unit/test_a.py::TestB::test_c")


def test_no_results_show_nothing(tmp_path):
    assert "make test" in TestResults.read(tmp_path).problem("unit/test_a.py::TestB::test_c")
