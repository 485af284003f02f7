"""What a measurement found, and how it gets into the documentation."""

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


class CannotMeasure(Exception):
    """What is needed is missing, or something went wrong that makes the figures worthless; a sentence says what."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The answer to a question."""

    conditions: str
    """What was measured under, where it may differ from one run to the next."""
    text: str
    """The figures for people, as Markdown."""
    missed: Sequence[str]
    """A sentence for each limit that did not hold."""
    figures: Sequence[object]
    """All of them, as dataclasses, for programs."""

    def to_markdown(self, question: str) -> str:
        """Return it with what it was measured by, when and where."""
        verdict = f"Missed: {'; '.join(self.missed)}." if self.missed else "Every limit held."
        measured = f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m bench {question}` ({self.conditions}):"
        return f"{measured}\n{_machine()}.\n\n{self.text}\n\n{verdict}"

    def to_json(self, question: str) -> str:
        """Return the same for programs."""
        found = {
            "question": question,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": _machine(),
            "conditions": self.conditions,
            "missed": list(self.missed),
            "figures": self.figures,
        }
        return json.dumps(found, default=vars, indent=2)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose first column is words and whose others are figures."""
    rule = f"|---{'|---:' * (len(headings) - 1)}|"
    first, *others = (f"| {' | '.join(map(str, row))} |" for row in (headings, *rows))
    return "\n".join([first, rule, *others])


def publish(question: str, text: str, *, docs: Path = DOCS) -> None:
    """Put the text between the question's two markers, in whichever page has them."""
    begin, end = f"<!-- {question}: begin -->", f"<!-- {question}: end -->"
    [page] = [page for page in docs.glob("*.md") if begin in page.read_text()]
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _machine() -> str:
    """Return the processor, its cores and the versions that a measurement depends on."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = cpu[1].strip() if cpu else platform.processor()
    # Distributions build theirs with profile-guided optimisation; one that was built by hand often does without
    python = "the distribution's Python" if sys.base_prefix == "/usr" else "Python"
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}, {python} {platform.python_version()}"
