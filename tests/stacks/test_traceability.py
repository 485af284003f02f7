"""The table of what is asked for says what the templates say, and names tests that exist."""

import ast
from pathlib import Path

import pytest

from scripts.trace_requirements import PAGE, NotMet, Row, line, page, sections

TESTS = Path(__file__).parents[1]
ROWS = [row for rows in sections().values() for row in rows]


def test_the_page_is_what_the_templates_say(academy):
    # Otherwise: .venv/bin/python -m scripts.trace_requirements
    assert PAGE.read_text(encoding="utf-8") == page(academy.assembly)


@pytest.mark.parametrize("test", sorted({row.test for row in ROWS}))
def test_every_named_test_exists(test):
    file, *names = test.split("::")
    scope: ast.AST = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    for name in names:
        scope = next(node for node in ast.iter_child_nodes(scope) if getattr(node, "name", "") == name)

    assert isinstance(scope, ast.FunctionDef)


def test_a_requirement_that_is_no_longer_met_has_no_page(academy):
    assembly = academy.assembly
    group = assembly.only("AnbWorker", "AWS::AutoScaling::AutoScalingGroup")
    del group.definition["Properties"]["MaxSize"]

    with pytest.raises(LookupError, match="Hasta 3 workers"):
        page(assembly)


def test_a_requirement_whose_code_is_gone_has_no_line(academy):
    row = Row(asked="6.9. Filtro", test="", file="services/anb/anb/gone.py")

    with pytest.raises(NotMet, match="there is no services"):
        line(row, academy.assembly)


def test_a_requirement_that_the_api_does_not_describe_has_no_line(academy):
    row = Row(asked="6.9. Filtro", test="", operation="PUT /api/videos")

    with pytest.raises(NotMet, match="PUT /api/videos"):
        line(row, academy.assembly)
