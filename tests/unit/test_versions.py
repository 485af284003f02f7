"""What is said of versions that somebody withdraws one day."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from deploy.versions import Version, table, warnings

TODAY = date(2026, 11, 26)


ROW = Version(
    what="support of the engine",
    name="mysql 8.4",
    ends=TODAY,
    verified=True,
    source="https://aws.example",
    then="Raise it",
)


def said(**changes):
    return warnings([replace(ROW, **changes)], TODAY, node=24)


def test_the_sentence_tells_what_ends_and_when_what_to_do_and_where_it_is_announced():
    assert said(look_up="aws rds ask") == [
        "Support of the engine, mysql 8.4, ends on 2026-11-26. Raise it. See https://aws.example (aws rds ask)."
    ]


@pytest.mark.parametrize(("days", "words"), [(-400, "ended on 2025-10-22"), (180, "ends on 2027-05-25"), (181, "")])
def test_it_is_said_half_a_year_before_and_ever_after(days, words):
    assert words in "".join(said(ends=TODAY + timedelta(days=days)))
    assert len(said(ends=TODAY + timedelta(days=days))) == bool(words)


def test_what_nobody_has_announced_is_not_said():
    assert said(ends=None) == []


def test_a_day_that_nobody_has_verified_is_called_so():
    assert "ends on 2026-11-26, a day that is to be verified." in said(verified=False)[0]


def test_of_several_releases_of_node_the_one_in_use_counts():
    releases = [replace(ROW, name="node 20"), replace(ROW, name="node 24")]

    assert [len(warnings(releases, TODAY, node=node)) for node in (20, 22, 24)] == [1, 0, 1]


def test_every_row_of_the_table_has_a_source_and_a_way():
    assert [row.name for row in table() if not row.source.startswith("https://") or not row.then] == []


def test_no_day_is_called_verified_where_there_is_none():
    assert [row.name for row in table() if row.verified and not row.ends] == []
