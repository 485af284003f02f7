"""The report: each number, table and figure of the documents comes from results, and those from raw data.

    capacity-planning/results/raw/NAME/…     what was measured, compressed: see raw.py
    capacity-planning/results/NAME.json      the digests of the raw data, and the summary that was made of them
    capacity-planning/results/figures/…      drawn from the summary

A document says where a number comes from, in comments that its readers do not see. `NAME.KEY` names a place in a
summary, and what follows it how a number is written:

    <!-- table NAME.KEY --> … <!-- /table -->          one of the tables that the scenario's module makes
    <!-- figure NAME.KEY TITLE --> … <!-- /figure -->  one of the figures that it draws
    Dura <!-- =NAME.KEY .1f -->3,5<!-- = --> segundos   one value

What was not measured yet is told as such. A number that stands anywhere else in the text is stated by nobody, and the
check says so. Numbers in headings, code, addresses and names such as p95 or t3.small are none.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from capacity import raw
from capacity.numbers import spanish

ROOT = Path(__file__).resolve().parents[1] / "capacity-planning"
UNMEASURED = "*Todavía sin medir.*"
PLAN, FINDINGS = "plan_de_pruebas.md", "pruebas_de_carga_entrega4.md"

Summary = Mapping[str, Any]

_TABLE = re.compile(r"(<!-- table (?P<key>\S+) -->\n).*?(\n?<!-- /table -->)", re.DOTALL)
_FIGURE = re.compile(r"(<!-- figure (?P<key>\S+) (?P<title>[^\n]+) -->\n).*?(\n?<!-- /figure -->)", re.DOTALL)
_VALUE = re.compile(r"(<!-- =(?P<key>\S+)(?: (?P<specification>\S+))? -->)(?P<text>[^<]*)(<!-- = -->)")
_NOT_PROSE = (
    re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE),
    re.compile(r"`[^`\n]*`"),
    re.compile(r"^#.*$", re.MULTILINE),
    re.compile(r"^\s*\d+\. ", re.MULTILINE),
    re.compile(r"\]\([^)]*\)"),
    re.compile(r"<https?:[^>]*>"),
    re.compile(r"<!--.*?-->", re.DOTALL),
)
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d.,]*(?![\w-])")


class UnknownKey(Exception):
    """A document names something that no summary has."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that was measured, simulated or computed, and how it is told."""

    name: str
    summarise: Callable[[Path], Summary]
    """Make the summary from the folder of raw data: JSON, numbers rounded to what they are worth."""
    tables: Callable[[Summary], Mapping[str, str]]
    """Make the tables of a summary, as Markdown."""
    figures: Callable[[Summary], Mapping[str, Figure]]
    """Draw the figures of a summary: their keys become files `NAME-KEY.svg`."""


@dataclass(frozen=True)
class Folder:
    """Where documents, results and raw data are."""

    root: Path = ROOT

    @property
    def figures(self) -> Path:
        """Where figures go."""
        return self.root / "results" / "figures"

    def raw(self, name: str) -> Path:
        """Return where a scenario keeps its raw data."""
        return self.root / "results" / "raw" / name

    def results(self, name: str) -> Path:
        """Return the file of a scenario's results."""
        return self.root / "results" / f"{name}.json"

    def summary(self, name: str) -> Summary:
        """Return the summary that was kept of a scenario."""
        found: Summary = json.loads(self.results(name).read_text())["summary"]
        return found


def write(scenarios: Sequence[Scenario], given: Mapping[str, Summary], folder: Folder = Folder()) -> list[str]:
    """Make results, figures, tables and values again; return a sentence for each thing that is still wrong.

    `given` are more summaries by their names, of values that are decided and not measured.
    """
    present = _present(scenarios, folder)
    for path, content in _files(present, folder).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    known = _Known(scenarios, given, folder)
    for document in _documents(folder):
        document.write_text(known.rewritten(document.read_text()))
    return check(scenarios, given, folder)


def check(scenarios: Sequence[Scenario], given: Mapping[str, Summary], folder: Folder = Folder()) -> list[str]:
    """Return a sentence for each file, table, figure, value or number that the data do not say."""
    present = _present(scenarios, folder)
    stale = [
        f"{path.relative_to(folder.root)}: does not follow from the data"
        for path, content in _files(present, folder).items()
        if not path.exists() or path.read_bytes() != content
    ]
    known = _Known(scenarios, given, folder)
    wrong = [
        f"{document.name}: {problem}"
        for document in _documents(folder)
        for problem in known.problems(document.read_text(), every_number=document.name == FINDINGS)
    ]
    return stale + wrong


def _present(scenarios: Sequence[Scenario], folder: Folder) -> list[Scenario]:
    """Return the scenarios that there are data or results of."""
    return [one for one in scenarios if folder.raw(one.name).exists() or folder.results(one.name).exists()]


def _documents(folder: Folder) -> list[Path]:
    return [path for name in (PLAN, FINDINGS) if (path := folder.root / name).exists()]


def _files(scenarios: Sequence[Scenario], folder: Folder) -> dict[Path, bytes]:
    """Return what results and figures have to be."""
    files = {}
    for scenario in scenarios:
        data = folder.raw(scenario.name)
        summary = scenario.summarise(data)
        results = {"raw": raw.digests(data), "summary": summary}
        files[folder.results(scenario.name)] = f"{json.dumps(results, indent=1, ensure_ascii=False)}\n".encode()
        for key, figure in scenario.figures(summary).items():
            files[folder.figures / f"{scenario.name}-{key}.svg"] = _drawn(figure)
    return files


def _drawn(figure: Figure) -> bytes:
    """Return the figure as SVG: the same bytes for the same data."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "anb", "svg.fonttype": "none", "font.size": 9}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


class _Known:
    """What the data say, as the documents ask for it."""

    def __init__(self, scenarios: Sequence[Scenario], given: Mapping[str, Summary], folder: Folder) -> None:
        kept = (one.name for one in scenarios if folder.results(one.name).exists())
        summaries = {name: folder.summary(name) for name in kept}
        self._unmeasured = {one.name for one in scenarios} - summaries.keys()
        self._values = {**dict.fromkeys(self._unmeasured), **summaries, **given}
        self._figures = folder.figures
        self._tables = {
            f"{one.name}.{key}": text
            for one in scenarios
            if one.name in summaries
            for key, text in one.tables(summaries[one.name]).items()
        }

    def rewritten(self, text: str) -> str:
        """Return the document with its tables and values as the data have them; raises UnknownKey."""
        text = _TABLE.sub(lambda found: f"{found[1]}{self._table(found['key'])}\n<!-- /table -->", text)
        text = _FIGURE.sub(lambda found: f"{found[1]}{self._figure(found)}\n<!-- /figure -->", text)
        return _VALUE.sub(lambda found: f"{found[1]}{self._value(found)}{found[5]}", text)

    def problems(self, text: str, *, every_number: bool) -> Iterator[str]:
        """Yield what the document says and the data do not."""
        for found in _TABLE.finditer(text):
            if found[0] != f"{found[1]}{self._table(found['key'])}\n<!-- /table -->":
                yield f"the table {found['key']} is another"
        for found in _FIGURE.finditer(text):
            if found[0] != f"{found[1]}{self._figure(found)}\n<!-- /figure -->":
                yield f"the figure {found['key']} is another"
        for found in _VALUE.finditer(text):
            if found["text"] != (value := self._value(found)):
                yield f"{found['key']} is {value}, not {found['text']}"
        if every_number:
            yield from (f"no data say {number}" for number in unstated(text))

    def _table(self, key: str) -> str:
        if key.partition(".")[0] in self._unmeasured:
            return UNMEASURED
        if key not in self._tables:
            raise UnknownKey(f"there is no table {key}; there are {', '.join(sorted(self._tables))}")
        return self._tables[key]

    def _figure(self, found: re.Match[str]) -> str:
        name = f"{found['key'].replace('.', '-')}.svg"
        if not (self._figures / name).exists():
            return UNMEASURED
        return f"![{found['title']}](results/figures/{name})"

    def _value(self, found: re.Match[str]) -> str:
        value: Any = self._values
        for part in found["key"].split("."):
            if value is None:  # it was not measured
                break
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise UnknownKey(f"there is no value {found['key']}: {part} is missing") from None
        return spanish(value, found["specification"] or "")


def unstated(text: str) -> list[str]:
    """Return the numbers of a document that are neither generated nor part of something else."""
    for pattern in (_TABLE, _FIGURE, _VALUE, *_NOT_PROSE):
        text = pattern.sub(" ", text)
    return [found[0].rstrip(".,") for found in _NUMBER.finditer(text)]
