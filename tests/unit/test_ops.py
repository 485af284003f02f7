from datetime import UTC, datetime

import pytest

from ops.__main__ import main
from ops.table import age, size, table, text


def test_columns_are_as_wide_as_their_widest_value():
    assert (
        table(("what", "n"), [("a longer name", 1), ("b", None)])
        == "what           n\na longer name  1\nb              -"
    )


def test_a_table_without_rows_is_its_header():
    assert table(("what", "n"), []) == "what  n"


def test_a_terminal_obeys_nothing_that_a_client_has_sent():
    assert text("a\x1b[31m\r\nb\u202e") == "a\N{REPLACEMENT CHARACTER}[31m b\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0, "0"), (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05Z")]
)
def test_values_are_shown_in_one_line(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(7, "7 B"), (12_345, "12.3 kB"), (999_999, "1.0 MB"), (104_857_600, "104.9 MB")]
)
def test_sizes_are_shown_as_people_read_them(size_bytes, shown):
    assert size(size_bytes) == shown


def test_ages_are_shown_as_people_read_them():
    assert age(90_061.9) == "1 day, 1:01:01"


@pytest.mark.parametrize("command", [[], ["janitor"], ["dlq"], ["dlq", "drop"], ["trace"], ["votes"], ["status"]])
def test_every_command_explains_itself_without_any_settings(command, capsys, monkeypatch):
    monkeypatch.delenv("ANB_QUEUE_URL", raising=False)

    assert main([*command, "--help"]) == 0
    assert "Usage: python -m ops" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistyped", "suggested"), [(["stats"], "status"), (["dlq", "shw"], "show"), (["votes", "--repaid"], "--repair")]
)
def test_what_is_mistyped_is_a_wrong_use_that_suggests_what_was_meant(mistyped, suggested, capsys):
    assert main(mistyped) == 2
    assert f"Did you mean '{suggested}'?" in capsys.readouterr().err


def test_settings_that_are_missing_are_named_in_one_line(capsys, monkeypatch):
    monkeypatch.delenv("ANB_QUEUE_URL", raising=False)

    assert main(["status"]) == 3
    said = capsys.readouterr().err
    assert (said.startswith("ops: "), "ANB_QUEUE_URL" in said, said.count("\n")) == (True, True, 1)
