import pytest

from anb.search import MAX_WORD_LENGTH, words


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
