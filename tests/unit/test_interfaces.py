"""What of libraries our code uses."""

import ast
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"


def private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each reach behind somebody else's underscore."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.ImportFrom(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield node.lineno, name


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def test_nothing_private_of_a_library_is_used_but_where_the_line_links_to_its_documentation():
    undocumented = []
    for file in SERVICES.rglob("*.py"):
        lines = file.read_text().splitlines()
        undocumented += [
            f"{file.relative_to(SERVICES)}:{number}: {name}"
            for number, name in private_names(ast.parse("\n".join(lines)))
            if is_private(name) and "https://" not in lines[number - 1]
        ]

    assert undocumented == []


def test_a_reach_into_a_library_is_seen():
    code = "from a import _b\nself._c\nclient._d.e\ngetattr(client, '_f')\nself.client._g()\ntype(x).__name__"

    found = {name for _, name in private_names(ast.parse(code)) if is_private(name)}

    assert found == {"_b", "_d", "_f", "_g"}
