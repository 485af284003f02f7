"""Writes docs/entrega4/trazabilidad.md: what is asked for, where templates or code have it, which test holds it.

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
OPENAPI = ROOT / "services" / "web" / "anb_web" / "openapi.json"
ENVIRONMENT = "entorno"  # no resource: where all stacks go


class NotMet(LookupError):
    """Templates, description or code do not have what is asked for; the message says what."""


@dataclass(frozen=True)
class Row:
    """One thing that is asked for, and the test below tests/ that holds it.

    A resource of the templates has it (without a property its being there is the answer; `none` says that there is
    none), or an operation of the API's description, or a file of the code.
    """

    asked: str
    test: str
    stack: str = ""
    type: str = ""
    property: str = ""
    named: str = ""
    none: bool = False
    operation: str = ""
    file: str = ""


HEAD = """# Trazabilidad

Cada exigencia del enunciado, dónde la cumplen las plantillas sintetizadas del perfil `academy`, la API o el código, y
qué prueba falla si se pierde. Las pruebas están en `tests/`. Página generada por `scripts/trace_requirements.py`
a partir de `trazabilidad.toml`; una prueba exige que esté al día. `make grade` la usa para calificar la entrega.
"""


def sections() -> dict[str, list[Row]]:
    """Return what is asked for, by the page's sections."""
    return {title: [Row(**row) for row in rows] for title, rows in tomllib.loads(ROWS.read_text("utf-8")).items()}


def page(assembly: Assembly) -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(title, rows, assembly) for title, rows in sections().items())])


def _section(title: str, rows: list[Row], assembly: Assembly) -> str:
    lines = [line(row, assembly) for row in rows]
    head = ["| Exigencia | Dónde se cumple | Propiedad y valor | Prueba |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", *head, *lines, ""])


def line(row: Row, assembly: Assembly) -> str:
    """Return the page's line about one requirement; raises NotMet."""
    return f"| {' | '.join(columns(row, assembly))} |"


def columns(row: Row, assembly: Assembly) -> tuple[str, str, str, str]:
    """Return what is asked for, where it is met, by which value, and which test holds it; raises NotMet."""
    return row.asked, _where(row), _answer(row, assembly), f"`{row.test}`"


def _where(row: Row) -> str:
    if row.operation or row.file:
        return f"`{row.operation or row.file}`"
    if row.type == ENVIRONMENT:
        return f"{ENVIRONMENT} de todas"
    return f"`{row.stack}` `AWS::{row.type}`" if row.stack != "*" else f"`AWS::{row.type}*` en ninguna"


def _answer(row: Row, assembly: Assembly) -> str:
    if row.operation:
        return _described(row)
    if row.file:
        if not (ROOT / row.file).is_file():
            raise NotMet(f"{row.asked}: there is no {row.file}")
        return "presente"
    if row.type == ENVIRONMENT:
        return f"`{row.property}` = `{assembly.region}`"
    return _in_templates(row, assembly)


def _described(row: Row) -> str:
    """Return what the API's description says that the operation answers."""
    method, path = row.operation.split()
    operation = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].get(path, {}).get(method.lower())
    if not operation:
        raise NotMet(f"{row.asked}: the API has no {row.operation}")
    return f"`responses` = {', '.join(f'`{status}`' for status in operation['responses'])}"


def _in_templates(row: Row, assembly: Assembly) -> str:
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
    if not found or (len(found) > 1 and row.named):
        raise NotMet(f"{row.asked}: there are {len(found)} {row.type} {row.named}".rstrip())
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


def synthesised() -> Assembly:
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
    PAGE.write_text(page(synthesised()), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    errors: dict[type[Exception], int] = {NotMet: commands.FAILED}
    sys.exit(commands.run(trace_requirements, program="scripts.trace_requirements", errors=errors))
