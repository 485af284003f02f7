"""The state of a video is written in one module, in whatever way it might be written."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIFECYCLE = ROOT / "services/anb/anb/lifecycle.py"
FOLDERS = ("services", "ops", "local", "deploy", "demo", "scripts", "bench")
# What fills a measurement's database with thousands of finished videos, which nobody has uploaded
FILLING = {ROOT / "bench/system.py"}

STATE = {"status", "attempt", "crashes", "lease_owner", "lease_until", "next_enqueue_at", "enqueue_count"}
# Answers and log lines have these too: they are a video's where its table is at hand, or in a statement's `values`
AMBIGUOUS = {"status", "attempt"}
SQL = re.compile(
    r"\b(INSERT|REPLACE)\s+(\w+\s+)*?INTO\s+[\w.`]*\bvideos\b"
    rf"|\bUPDATE\s+[\w.`]*\bvideos\b.*\b({'|'.join(STATE)})`?\s*=",
    re.IGNORECASE | re.DOTALL,
)


def state_writes(source: str) -> set[int]:
    """Return the lines of the source that write a video's state, or make or delete its row."""
    nodes = list(ast.walk(ast.parse(source)))
    state = STATE if any(name(node) in {"Video", "tables"} for node in nodes) else STATE - AMBIGUOUS
    return {node.lineno for node in nodes if isinstance(node, ast.expr) and writes(node, state)}


def writes(node: ast.expr, state: set[str]) -> bool:
    match node:
        case ast.Attribute(ctx=ast.Store()):
            return node.attr in state
        case ast.Subscript(ctx=ast.Store()):
            return name(node.slice) in state
        case ast.Dict():
            return any(name(key) in state for key in node.keys)
        case ast.Call():
            return call_writes(node, state)
        case ast.Constant() | ast.JoinedStr():
            return bool(SQL.search(name(node)))
    return False


def call_writes(call: ast.Call, state: set[str]) -> bool:
    named = {keyword.arg for keyword in call.keywords}
    mentioned = {name(part) for argument in call.args for part in ast.walk(argument)}
    match name(call.func):
        case "Video":
            return True
        case "insert" | "delete":
            return "Video" in mentioned
        case "values":
            return bool(named & STATE)
        case "ordered_values" | "from_select" | "setattr":
            return bool(mentioned & state)
        case "dict":
            return bool(named & state)
    return bool(named & (STATE - AMBIGUOUS))


def name(node: ast.AST | None) -> str:
    match node:
        case ast.Name(id=text) | ast.Attribute(attr=text) | ast.alias(name=text) | ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(name, parts))
    return ""


def test_nothing_but_the_lifecycle_writes_the_state_of_a_video():
    files = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} - FILLING - {LIFECYCLE}
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in files
        for line in sorted(state_writes(path.read_text(encoding="utf-8")))
    ]

    assert not found
    assert state_writes(LIFECYCLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "update(Video).where(Video.id == video_id).values(status=Status.FAILED)",
        "update(Video).values({'lease_until': None})",
        "update(Video).values({Video.attempt: Video.attempt + 1})",
        "update(Video).ordered_values((Video.status, 'failed'), (Video.error, reason))",
        "changes = dict(status='failed')\nconnection.execute(update(Video).values(changes))",
        "changes['status'] = 'failed'\nconnection.execute(update(Video), changes)",
        "connection.execute(_UPDATE, {'next_enqueue_at': None})",
        "connection.execute(update(Video), [{'id': video_id, 'status': 'failed'}])",
        "models.Video.__table__.update().values(attempt=0)",
        "metadata.tables['videos'].update().values(**{'status': 'failed'})",
        "statement.values(status='failed')",
        "insert(Video).values(id=video_id)",
        "insert(Video).from_select(['id', 'status'], chosen)",
        "delete(Video).where(Video.id == video_id)",
        "session.add(Video(id=video_id, title='x'))",
        "video: Video = session.get(Video, video_id)\nvideo.status = Status.FAILED",
        "video.lease_until = None",
        "video.crashes += 1",
        "video.crashes, video.votes = 0, 0",
        "setattr(session.get(Video, video_id), 'status', 'failed')",
        "cursor.execute('UPDATE videos SET title = %s, status = %s')",
        "cursor.execute('''\nupdate `anb`.`videos`\nset `attempt`=0''')",
        "cursor.execute(f'UPDATE {schema}.videos SET next_enqueue_at = NULL')",
        "text('INSERT IGNORE INTO anb.videos VALUES (1, 2)')",
    ],
)
def test_a_write_elsewhere_is_found(source):
    assert state_writes(source)


@pytest.mark.parametrize(
    "source",
    [
        "select(Video.status, Video.attempt).where(Video.status == Status.FAILED, Video.lease_until < now())",
        "update(Video).values(votes=Video.votes + 1)",
        "return_({'status': 'ok'}, 200)",
        "render_template('error.html', status=response.status_code)",
        "select(Video.attempt)\nLease(video_id=video_id, attempt=3)",
        "cursor.execute('UPDATE videos SET votes = 1')",
        "cursor.execute('SELECT status, attempt FROM videos')",
    ],
)
def test_what_only_reads_is_no_write(source):
    assert not state_writes(source)
