from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anb.errors import Invalid
from anb.search import MAX_WORD_LENGTH, Cursor, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mi mejor TIRO de 3", ["mi", "mejor", "tiro", "de", "3"]),
        ("Peñaranda, Ibargüen: ¡Clavada!", ["penaranda", "ibarguen", "clavada"]),
        ("tiro Tiro TIRÓ", ["tiro"]),
        ("🏀🔥", []),
        ("  ", []),
        ("x" * 100, ["x" * MAX_WORD_LENGTH]),
    ],
)
def test_words_are_found_without_case_and_accents(text, found):
    assert words(text) == found


def test_a_cursor_survives_its_url():
    cursor = Cursor(datetime(2025, 3, 10, 14, 30, 0, 123456, tzinfo=UTC).replace(tzinfo=None), UUID(int=7))

    assert Cursor.from_text(cursor.to_text()) == cursor


@given(st.text())
def test_a_cursor_of_somebody_elses_making_is_refused(text):
    with pytest.raises(Invalid):
        Cursor.from_text(text)
