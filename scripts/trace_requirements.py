"""Writes docs/entrega4/trazabilidad.md: what is asked for, where the templates have it, which test holds it.

The rows are those of trazabilidad.toml beside it.
"""

import json
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import click

from anb import commands
from app import compose
from stacks.constructs.artefacts import Sources
from stacks.profiles import ACADEMY
from stacks.rules.assembly import Assembly

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "entrega4" / "trazabilidad.md"
ROWS = PAGE.with_suffix(".toml")
ENVIRONMENT = "entorno"  # no resource: where all stacks go


class NotMet(LookupError):
    """The templates do not have what is asked for; the message says what."""


@dataclass(frozen=True)
class Row:
    """One thing that is asked for. Without a property the resource is the answer; `none` says that there is none."""

    asked: str
    stack: str
    type: str
    test: str
    property: str = ""
    named: str = ""
    none: bool = False


HEAD = """# Trazabilidad

Cada exigencia del enunciado, dónde la cumplen las plantillas sintetizadas del perfil `academy` y qué prueba falla si
se pierde. Las pruebas están en `tests/stacks/`. Página generada por `scripts/trace_requirements.py`
a partir de `trazabilidad.toml`; una prueba exige que esté al día.
"""


def sections() -> dict[str, list[Row]]:
    """Return what is asked for, by the page's sections."""
    return {title: [Row(**row) for row in rows] for title, rows in tomllib.loads(ROWS.read_text("utf-8")).items()}


def page(assembly: Assembly) -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(title, rows, assembly) for title, rows in sections().items())])


def _section(title: str, rows: list[Row], assembly: Assembly) -> str:
    lines = [_line(row, assembly) for row in rows]
    head = ["| Exigencia | Recurso de la plantilla | Propiedad y valor | Prueba |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", *head, *lines, ""])


def _line(row: Row, assembly: Assembly) -> str:
    if row.type == ENVIRONMENT:
        return f"| {row.asked} | {ENVIRONMENT} de todas | `{row.property}` = `{assembly.region}` | `{row.test}` |"
    resource = f"`{row.stack}` `AWS::{row.type}`" if row.stack != "*" else f"`AWS::{row.type}*` en ninguna"
    return f"| {row.asked} | {resource} | {_answer(row, assembly)} | `{row.test}` |"


def _answer(row: Row, assembly: Assembly) -> str:
    found = [
        resource
        for resource in assembly.resources()
        if _is(resource.type, f"AWS::{row.type}")
        and row.stack in {resource.stack, "*"}
        and resource.logical_id.startswith(row.named)
    ]
    if row.none and not row.property:
        if found:
            raise NotMet(f"{row.asked}: {found[0].logical_id} is there")
        return "ninguno"
    if len(found) != 1 and row.named:
        raise NotMet(f"{row.asked}: {len(found)} resources are named {row.named}")
    definition = found[0].definition
    if not row.property:
        return "presente"
    start = definition if row.property.startswith("UpdatePolicy") else definition.get("Properties", {})
    value = _value(start, row.property.split("."))
    if row.none is not (value is None):
        raise NotMet(f"{row.asked}: {row.property} is {value}")
    return f"`{row.property.rpartition('.')[2]}` {'ausente' if value is None else '= ' + _shown(value)}"


def _is(type_: str, asked: str) -> bool:
    """Say whether it is that type, or one of a service whose name ends in colons."""
    return type_.startswith(asked) if asked.endswith("::") else type_ == asked


def _value(start: Any, path: list[str]) -> Any:
    """Return what lies at the end of the path, or None."""
    for step in path:
        start = start[int(step)] if isinstance(start, list) else start.get(step)
        if start is None:
            return None
    return start


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} subredes"
    if isinstance(value, Mapping):
        joined = value.get("Fn::Join", ["", [json.dumps(value)]])[1]
        return f"`…{joined[-1]}`"
    return f"`{value}`"


def _synthesised() -> Assembly:
    """Return academy's templates; what the artefacts hold changes nothing on the page."""
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for artefact in ("web", "worker", "ffmpeg"):
            (folder / f"{artefact}.zip").write_bytes(b"stand-in")
        app = cdk.App(
            context=flags,
            outdir=str(folder / "out"),
            analytics_reporting=False,
            builtin_cloud_formation_validation=False,
        )
        compose(app, ACADEMY, Sources(artefacts=folder, user_data=ROOT / "userdata"))
        app.synth()
        return Assembly.read_folder(folder / "out", region=ACADEMY.region)


@click.command()
def trace_requirements() -> None:
    """Write the table of requirements and templates again, or say which requirement is no longer met."""
    PAGE.write_text(page(_synthesised()), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    errors: dict[type[Exception], int] = {NotMet: commands.FAILED}
    sys.exit(commands.run(trace_requirements, program="scripts.trace_requirements", errors=errors))
