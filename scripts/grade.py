"""`python -m scripts.grade` says, in Spanish, what of the statement is met, with the evidence that was looked at.

The items are those of docs/entrega4/calificacion.toml. Nothing is met by being said: each piece of evidence is looked
for in the synthesised templates, in the results that `make test` has left, or in the files.
"""

import enum
import sys
import tomllib
import xml.etree.ElementTree as ET  # our own tests have written what is read
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from anb import commands
from capacity.__main__ import GIVEN, SCENARIOS
from capacity.report import UNMEASURED, Folder, UnknownKey, check
from scripts.documents import Document
from scripts.trace_requirements import NotMet, Row, columns, line, sections, synthesised
from stacks.rules.assembly import Assembly
from stacks.rules.lab import LAB_RULES
from stacks.rules.promises import PROMISES

ROOT = Path(__file__).parents[1]
RUBRIC = Path("docs", "entrega4", "calificacion.toml")
TRACEABILITY = Path("docs", "entrega4", "trazabilidad.md")
RESULTS = Path("build", "tests.xml")  # the Makefile has `make test` write it
JUDGED = ("app.py", "cdk.json", "services", "stacks", "tests", "userdata")  # a result is older than none of them
MIN_WORDS = 25  # of a section that says something
# What the load tests' document says of data that are not there, or not all of them
UNFINISHED = (UNMEASURED, "-->n. d.<", "provisionales: ")
RULES = {rule.name: rule for rule in (*LAB_RULES, *PROMISES)}


class State(enum.StrEnum):
    """What becomes of an item."""

    MET = "se cumple"
    NOT_MET = "no se cumple"
    TEAM = "por hacer por el equipo"


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something that the statement grades, wants delivered or restricts, and where its evidence is.

    `requirements` are rows of the traceability by the beginning of what they ask; `rules` those of the synthesis;
    `documents` are paths with a part of a section's anchor; one of them has to show the `figures`; `mentions`
    are a document and a text in it; `measured` wants the load tests' document to say what the data say, and nothing
    in these sections to be still without data. `team` is what nobody but the team can do.
    """

    asked: str
    weight: int = 0
    requirements: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    measured: bool = False
    team: str = ""


@dataclass(frozen=True)
class Evidence:
    """One thing that was looked at, and what is wrong with it."""

    what: str
    problem: str = ""


@dataclass(frozen=True)
class Grade:
    """An item with the evidence that was found."""

    item: Item
    evidence: tuple[Evidence, ...]

    @property
    def state(self) -> State:
        """Met is only what was looked at, and wholly right."""
        if any(piece.problem for piece in self.evidence):
            return State.NOT_MET
        if self.item.team:
            return State.TEAM
        return State.MET if self.evidence else State.NOT_MET


@dataclass(frozen=True)
class TestResults:
    """How each test ended, by its name, or why that is not known."""

    __test__ = False  # pytest shall not take it for tests

    passed: dict[str, bool]
    unusable: str = ""

    @classmethod
    def read(cls, root: Path) -> "TestResults":
        """Return what the last `make test` has left, unless something that it judged has changed since."""
        path = root / RESULTS
        if not path.exists():
            return cls({}, f"no hay {RESULTS}: ejecute `make test`")
        suites = list(ET.parse(path).getroot().iter("testsuite"))  # noqa: S314 our own file
        begun = min(datetime.fromisoformat(suite.attrib["timestamp"]).astimezone(UTC) for suite in suites)
        changed, when = _last_change(root)
        if when > begun:
            return cls({}, f"las pruebas corrieron antes de cambiar {changed}: ejecute `make test`")
        return cls({_name(case): len(case) == 0 or _succeeded(case) for suite in suites for case in suite})

    def problem(self, test: str) -> str:
        """Return why a test (a path below tests/ and a name, or the name of one of its cases) shows nothing."""
        if self.unusable:
            return self.unusable
        file, _, name = test.partition("::")
        module, name = f"tests.{file.removesuffix('.py').replace('/', '.')}", name.replace("::", ".")
        case = f"[{name.replace('_', ' ')}]"
        ends = [
            passed
            for full, passed in self.passed.items()
            if full.startswith(f"{module}.")
            and (full == f"{module}.{name}" or full.startswith(f"{module}.{name}[") or full.endswith(case))
        ]
        if not ends:
            return "la prueba no se ejecutó"
        return "" if all(ends) else "la prueba falla o se omitió"


def _name(case: ET.Element) -> str:
    return f"{case.attrib['classname']}.{case.attrib['name']}"


def _succeeded(case: ET.Element) -> bool:
    return not any(child.tag in {"failure", "error", "skipped"} for child in case)


def _last_change(root: Path) -> tuple[str, datetime]:
    """Return the file that was changed last of those that tests judge."""
    files = (
        path
        for name in JUDGED
        for path in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path)
    )
    newest = max(files, key=lambda path: path.stat().st_mtime)
    return str(newest.relative_to(root)), datetime.fromtimestamp(newest.stat().st_mtime, UTC)


@dataclass(frozen=True)
class Facts:
    """What evidence is looked for in."""

    root: Path
    assembly: Assembly
    tests: TestResults

    @cached_property
    def page(self) -> list[str]:
        """The lines of the traceability as it was handed in."""
        path = self.root / TRACEABILITY
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @cached_property
    def rows(self) -> list[Row]:
        """All requirements of the traceability."""
        return [row for rows in sections().values() for row in rows]


def rubric(root: Path = ROOT) -> dict[str, list[Item]]:
    """Return what is graded, by the statement's sections."""
    given = tomllib.loads((root / RUBRIC).read_text(encoding="utf-8"))
    return {title: [_item(fields) for fields in items] for title, items in given.items()}


def _item(fields: dict[str, Any]) -> Item:
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Item(**frozen | {"mentions": tuple(tuple(pair) for pair in fields.get("mentions", ()))})


def graded(item: Item, facts: Facts) -> Grade:
    """Look at all the evidence of an item."""
    return Grade(
        item,
        (
            *_requirements(item, facts),
            *(_rule(name, facts) for name in item.rules),
            *(_test(test, facts) for test in item.tests),
            *(_document(wanted, facts) for wanted in item.documents),
            *(_unmeasured(wanted, facts) for wanted in item.documents if item.measured),
            *(_figure(path, item, facts) for path in item.figures),
            *(_result(path, facts) for path in item.results),
            *(_mention(*pair, facts) for pair in item.mentions),
            *(_measured(facts) if item.measured else ()),
        ),
    )


def _requirements(item: Item, facts: Facts) -> Iterator[Evidence]:
    for beginning in item.requirements:
        found = [row for row in facts.rows if row.asked.startswith(beginning)]
        if not found:
            yield Evidence(beginning, "no está en trazabilidad.toml")
        for row in found:
            yield _requirement(row, facts)
            yield _test(row.test, facts)


def _requirement(row: Row, facts: Facts) -> Evidence:
    try:
        _, where, value, _ = columns(row, facts.assembly)
    except NotMet as error:
        return Evidence(row.asked, f"las plantillas o el código no lo tienen ({error})")
    what = f"{row.asked}: {where} {value}".replace("`", "")
    same = line(row, facts.assembly) in facts.page
    return Evidence(what, "" if same else f"{TRACEABILITY.name} dice otra cosa: `make trace`")


def _rule(name: str, facts: Facts) -> Evidence:
    findings = list(RULES[name].findings(facts.assembly))
    said = "; ".join(f"{finding.stack} {finding.logical_id}: {finding.sentence}" for finding in findings)
    return Evidence(f"regla de síntesis {name}", said)


def _test(test: str, facts: Facts) -> Evidence:
    return Evidence(f"prueba tests/{test}", facts.tests.problem(test))


def _section(wanted: str, facts: Facts) -> tuple[str, str] | None:
    """Return the anchor and the text of the first section that the document has of that name."""
    path, _, part = wanted.partition("#")
    if not (facts.root / path).is_file():
        return None
    anchors = Document.read(facts.root / path).anchors
    return next(((name, text) for name, text in anchors.items() if part in name), None)


def _unmeasured(wanted: str, facts: Facts) -> Evidence:
    _, text = _section(wanted, facts) or ("", "")
    said = next((mark for mark in UNFINISHED if mark in text), "")
    return Evidence(f"mediciones completas en {wanted}", f"ahí dice «{said.strip('*>.<: ')}»" if said else "")


def _document(wanted: str, facts: Facts) -> Evidence:
    path, _, part = wanted.partition("#")
    what = f"documento {wanted}"
    if not (facts.root / path).is_file():
        return Evidence(what, "no existe")
    found = _section(wanted, facts)
    if found is None:
        return Evidence(what, "no tiene esa sección")
    name, text = found
    what = f"documento {path}#{name}" if part else what
    return Evidence(what, "" if len(text.split()) >= MIN_WORDS else "la sección no dice nada")


def _figure(path: str, item: Item, facts: Facts) -> Evidence:
    what = f"figura {path}"
    if not (facts.root / path).is_file():
        return Evidence(what, "no existe")
    pages = {wanted.partition("#")[0] for wanted in item.documents}
    shown = any((facts.root / path).resolve() in _shown(facts.root / page) for page in pages)
    return Evidence(what, "" if shown else f"no aparece en {', '.join(sorted(pages))}")


def _shown(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in Document.read(page).targets} if page.is_file() else set()


def _result(path: str, facts: Facts) -> Evidence:
    return Evidence(f"resultado {path}", "" if (facts.root / path).exists() else "no existe")


def _mention(page: str, text: str, facts: Facts) -> Evidence:
    path = facts.root / page
    there = path.is_file() and text in path.read_text(encoding="utf-8")
    return Evidence(f"{page} nombra {text}", "" if there else "no lo nombra")


def _measured(facts: Facts) -> Iterator[Evidence]:
    what = "cada número del análisis de capacidad sale de los datos"
    try:
        problems = check(SCENARIOS, GIVEN, Folder(facts.root / "capacity-planning"))
    except UnknownKey as error:
        problems = [str(error)]
    yield Evidence(what, "; ".join(problems[:3]))


_MARKS = {State.MET: "[x]", State.NOT_MET: "[!]", State.TEAM: "[ ]"}


def told(grades: dict[str, list[Grade]], *, untested: str = "") -> Iterator[str]:
    """Yield what is printed, line by line; `untested` says why no test shows anything, where none does."""
    for title, ones in grades.items():
        yield f"\n{title}"
        for grade in ones:
            weight = f" ({grade.item.weight} %)" if grade.item.weight else ""
            yield f"{_MARKS[grade.state]} {grade.state}: {grade.item.asked}{weight}"
            for piece in grade.evidence:
                yield f"      {'- ' + piece.what if not piece.problem else '! ' + piece.what + ': ' + piece.problem}"
            if grade.item.team:
                yield f"      > {grade.item.team}"
    yield from _totals([grade for ones in grades.values() for grade in ones])
    if untested:
        yield f"Ningún punto que pide una prueba se da por cumplido: {untested}."


def _totals(grades: list[Grade]) -> Iterator[str]:
    yield ""
    for state in State:
        ones = [grade for grade in grades if grade.state is state]
        weight = sum(one.item.weight for one in ones)
        yield f"{_MARKS[state]} {state}: {len(ones)} puntos del enunciado, {weight} % de la nota"


def report(grades: dict[str, list[Grade]]) -> list[dict[str, Any]]:
    """Return the same for other programs."""
    return [
        {
            "section": title,
            "asked": grade.item.asked,
            "weight": grade.item.weight,
            "state": grade.state,
            "team": grade.item.team,
            "evidence": [asdict(piece) for piece in grade.evidence],
        }
        for title, ones in grades.items()
        for grade in ones
    ]


@click.command()
@commands.json_option
def grade(as_json: bool) -> int:
    """Say what of the statement is met, and by which evidence; the exit code is 1 where something is not."""
    facts = Facts(ROOT, synthesised(), TestResults.read(ROOT))
    grades = {title: [graded(item, facts) for item in items] for title, items in rubric().items()}
    if as_json:
        commands.print_json(report(grades))
    else:
        click.echo("\n".join(told(grades, untested=facts.tests.unusable)))
    failed = any(one.state is State.NOT_MET for ones in grades.values() for one in ones)
    return commands.FAILED if failed else commands.DONE


if __name__ == "__main__":
    sys.exit(commands.run(grade, program="scripts.grade", errors={}))
