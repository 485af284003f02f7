import json
from contextlib import closing

import pytest

from local import console
from local.logs import LogFiles

REQUEST = {
    "time": "2026-11-25T23:00:00+00:00",
    "service": "nginx",
    "event": "request",
    "method": "GET",
    "path": "/api/public/videos",
    "status": 200,
    "bytes": 2345,
    "seconds": 0.0124,
    "upstream_seconds": "0.012",
    "client": "127.0.0.1",
    "request_id": "f6c32342172b412583c17e34e9639d9b",
}


@pytest.fixture
def shown(capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)

    def shown(line, *, by=console.show):
        by("web", line)
        return capsys.readouterr().out.removesuffix("\n")

    return shown


def on_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def test_a_request_is_one_line_of_its_essential_fields(shown):
    line = shown(json.dumps(REQUEST))

    assert line.partition(" ")[2].split() == (
        ["web", "INFO", "request", "GET", "/api/public/videos", "200", "12", "ms", "request_id=f6c32342"]
    )


def test_a_request_that_failed_counts_as_an_error_where_the_line_has_no_level(shown):
    line = shown(json.dumps({"method": "GET", "path": "/", "status": 503, "seconds": 0.25}))

    assert line.split()[1:] == ["web", "ERROR", "GET", "/", "503", "250", "ms"]


@pytest.mark.parametrize(("level", "colour"), [("WARNING", "33"), ("ERROR", "31")])
def test_a_level_has_a_colour_on_a_terminal(shown, monkeypatch, level, colour):
    on_a_terminal(monkeypatch)

    assert shown(json.dumps({**REQUEST, "level": level})).startswith(f"\x1b[{colour}m")


def test_nothing_is_coloured_in_a_pipe_or_where_no_color_asks_for_it(shown, monkeypatch):
    line = json.dumps({**REQUEST, "level": "ERROR"})
    in_a_pipe = shown(line)
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in in_a_pipe + shown(line)


def test_what_is_no_json_is_shown_as_it_is(shown):
    assert shown("mariadbd: ready for connections.").endswith(" mariadbd: ready for connections.")


@pytest.mark.parametrize("line", ["\x1b[2Jgone", json.dumps({**REQUEST, "path": "/\x1b[2J"})])
def test_no_line_moves_the_cursor(shown, line):
    assert "\x1b" not in shown(line)


def test_json_is_shown_as_it_came_when_it_is_asked_for(shown):
    line = json.dumps(REQUEST)

    assert shown(line, by=console.show_raw) == line


def test_files_hold_every_line_whole_for_their_owner_alone(tmp_path):
    with closing(LogFiles(tmp_path / "logs")) as files:
        for line in ("one", json.dumps(REQUEST)):
            files.write("web", line)

    assert (tmp_path / "logs" / "web.log").read_text().splitlines() == ["one", json.dumps(REQUEST)]
    assert (tmp_path / "logs").stat().st_mode & 0o077 == 0


def test_a_run_begins_its_files_anew_and_keeps_those_of_the_run_before(tmp_path):
    for run in ("first", "second", "third"):
        with closing(LogFiles(tmp_path)) as files:
            files.write("web", run)

    assert {file.name: file.read_text().strip() for file in tmp_path.iterdir()} == (
        {"web.log": "third", "web.log.1": "second"}
    )
