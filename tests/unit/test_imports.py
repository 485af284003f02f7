"""Who may know whom: the product's packages import in one direction."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "services/anb": {
        "anb_web",
        "anb_worker",
        "flask",
        "stacks",
        "local",
        "demo",
        "branding",
        "bench",
        "twin",
        "capacity",
    },
    "services/web": {"anb_worker", "stacks", "local", "demo", "branding", "bench", "twin", "capacity"},
    "services/worker": {"anb_web", "flask", "stacks", "local", "demo", "branding", "bench", "twin", "capacity"},
}


def imported_packages(folder, leaving_out=""):
    for path in {*(ROOT / folder).rglob("*.py")} - {ROOT / folder / leaving_out}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names.append(node.module)
            yield from (name.partition(".")[0] for name in names)


@pytest.mark.parametrize("folder", ["stacks", "ops", "deploy"])
def test_what_runs_or_deploys_the_system_knows_nothing_of_its_twin(folder):
    assert "twin" not in set(imported_packages(folder))


def test_the_twin_reads_templates_and_knows_services_only_where_it_composes_them():
    imported = set(imported_packages("twin", leaving_out="launcher.py"))

    assert "stacks" in imported
    assert not imported & {"anb_web", "anb_worker", "aws_cdk", "boto3"}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_service_imports_only_what_it_may_know(folder):
    imported = set(imported_packages(folder))

    assert "anb" in imported
    assert not FORBIDDEN[folder] & imported


def test_environment_is_read_only_where_a_process_is_composed():
    readers = {
        str(path.relative_to(ROOT / "services"))
        for path in (ROOT / "services").rglob("*.py")
        if "os.environ" in path.read_text(encoding="utf-8")
    }

    assert readers == {
        "anb/anb/__main__.py",
        "anb/anb/environment.py",
        "web/anb_web/app.py",
        "web/anb_web/gunicorn_conf.py",
        "worker/anb_worker/service.py",
        "worker/anb_worker/sandbox.py",
    }
