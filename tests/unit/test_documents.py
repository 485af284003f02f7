"""What the documents link to, show and tell to run is there."""

import ast
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from scripts.documents import Document

ROOT = Path(__file__).parents[2]
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build", "node_modules"}
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for name in FOLDERS if not name.startswith(".") for page in (ROOT / name).rglob("*.md")),
    ]
)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = tomllib.loads((ROOT / "tests" / "commands.toml").read_text())
_FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|toml|md|svg|json|sh|yaml|conf|mjs|txt)|(?:[\w-]+/)+")


def missing(page: Path, text: str) -> list[str]:
    """Return the links and pictures of a page that lead nowhere."""
    found = []
    for target in Document(text).targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if (path and not file.exists()) or (
            anchor and file.suffix == ".md" and unquote(anchor) not in anchors(file, page, text)
        ):
            found.append(target)
    return found


def anchors(file: Path, page: Path, text: str) -> dict[str, str]:
    """Return the anchors of a file, which may be the page itself as it is being written."""
    return (Document(text) if file == page else Document.read(file)).anchors


def commands(text: str) -> list[str]:
    """Return the commands of a page: lines of its blocks, and what stands in code marks, by program and verb."""
    document = Document(text)
    lines = [line for block in document.shell for line in block.replace("\\\n", " ").splitlines()]
    return [verb for line in (*lines, *document.code) if (verb := known(line))]


def known(line: str) -> str:
    """Return what a line runs, if that is ours: `make test`, `python -m ops status`, `npx cdk synth`."""
    words = re.sub(r"^\$ ", "", line.partition(" #")[0].strip()).split()
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    match words:
        case ["make", verb, *_] if re.fullmatch(r"[a-z-]+", verb):
            return f"make {verb}"
        case ["npx", "cdk", verb, *_]:
            return f"npx cdk {verb}"
        case [python, "-m", module, *rest] if python.rpartition("/")[2] in {"python", "python3"}:
            has_verb = rest and re.fullmatch(r"[a-z][a-z-]*", rest[0])
            return f"python -m {module} {rest[0]}" if has_verb else f"python -m {module}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page):
    assert missing(page, page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page):
    if page.name == "CHANGELOG.md":
        return  # it tells of what is gone, too

    named = {name for code in Document.read(page).code for name in _FILE.findall(code) if name == code}
    ours = {name for name in named if name.partition("/")[0] in FOLDERS}

    assert {name for name in ours if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_are_named_are_there(page):
    named = {code for code in Document.read(page).code if re.fullmatch(r"tests/[\w/]+\.py::[\w:]+", code)}

    assert {name for name in named if not is_test(name)} == set()


def is_test(name: str) -> bool:
    file, *names = name.split("::")
    scope: ast.AST = ast.parse((ROOT / file).read_text()) if (ROOT / file).exists() else ast.Module([], [])
    for wanted in names:
        scope = next(
            (node for node in ast.iter_child_nodes(scope) if getattr(node, "name", "") == wanted), ast.Pass()
        )
    return isinstance(scope, ast.FunctionDef)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_run_by_a_test_or_says_why_not(page):
    unknown = {verb for verb in commands(page.read_text()) if verb not in COMMANDS}

    assert unknown == set(), "say in tests/commands.toml how they are tried, or why not"


@pytest.mark.parametrize("command", sorted({verb for page in PAGES for verb in commands(page.read_text())}))
def test_what_runs_a_command_is_there(command):
    told = COMMANDS[command]

    if command.startswith("make "):
        assert command.removeprefix("make ") in TARGETS
    if "run_by" in told:
        file, _, needle = told["run_by"].partition(": ")
        assert needle in (ROOT / file).read_text()
    else:
        assert len(told["not_run"].split()) > 3


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](README.md)", []),
        ("[a](README.md#try-it) ![b](docs/none.svg)", ["docs/none.svg"]),
        ("[a](README.md#no-such-heading)", ["README.md#no-such-heading"]),
        ('<img src="docs/none.png">', ["docs/none.png"]),
        ("[a](https://example.org/none)", []),
        ("# Here\n\n[a](#here) [b](#there)", ["#there"]),
    ],
)
def test_a_link_that_leads_nowhere_is_seen(text, wrong):
    assert missing(ROOT / "page.md", text) == wrong


def test_commands_are_found_in_blocks_and_in_marks():
    text = (
        "`make run` and `python -m ops`\n\n```sh\nPORT=1 .venv/bin/python -m ops dlq show  # why\nnpx cdk ls\n```\n"
    )

    assert sorted(commands(text)) == ["make run", "npx cdk ls", "python -m ops", "python -m ops dlq"]
