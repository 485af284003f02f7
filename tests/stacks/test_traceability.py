"""The table of what is asked for says what the templates say, and names tests that exist."""

import ast
from pathlib import Path

import pytest

from scripts.trace_requirements import PAGE, page, sections

HERE = Path(__file__).parent
ROWS = [row for rows in sections().values() for row in rows]


def test_the_page_is_what_the_templates_say(academy):
    # Otherwise: .venv/bin/python -m scripts.trace_requirements
    assert PAGE.read_text(encoding="utf-8") == page(academy.assembly)


@pytest.mark.parametrize("test", sorted({row.test for row in ROWS}))
def test_every_named_test_exists(test):
    file, _, name = test.partition("::")
    module = ast.parse((HERE / file).read_text(encoding="utf-8"))

    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


def test_a_requirement_that_is_no_longer_met_has_no_page(academy):
    assembly = academy.assembly
    group = assembly.only("AnbWorker", "AWS::AutoScaling::AutoScalingGroup")
    del group.definition["Properties"]["MaxSize"]

    with pytest.raises(LookupError, match="Hasta 3 workers"):
        page(assembly)
