import pytest

from anb import texts
from anb.accounts import Registration
from anb.errors import Invalid
from anb.videos import check_title
from tests.unit.test_accounts import SENT

READABLE = [
    "O’Neal",  # noqa: RUF001
    "O'Neal",
    "O´Neal",  # noqa: RUF001
    "Jean-Luc",
    "D’Angelo Jr.",  # noqa: RUF001
    "Ñáñez",
    "María José",
    "Mª José",
    "Núñez-Łukasz",
    "Việt",
    "Ọlá",
    "Hawaiʻi",  # noqa: RUF001
    "Col·lecció",
    "Juan 2",
    "Bogotá, D.C.",
    "São Paulo/SP",
    "N° 3 de Cali",
    "Мария",
    "Ἀθηνᾶ",
    "李小龍",
    "佐々木",
    "マリア・ガルシア",
    "한국",
    "محمد",
    "مُحَمَّد",
    "می‌خواهم",
    "ישי",
    "שָׁלוֹם",
    "นภา",
    "น้ำ",
    "हिन्दी",
    "श्री",
    "ढूँढ़",
    "क्‍ष",
    "မြို့",
    "ᏣᎳᎩ",
    "𠮷田",
]

DIRECTION = "Contiene caracteres que cambian la dirección del texto."
INVISIBLE = "Contiene caracteres invisibles."
REFUSED = "Contiene caracteres no permitidos."
MARKS = "Lleva más acentos o signos en una letra de los que se pueden leer."
MISSING = "Este campo es obligatorio."
UNREADABLE = {
    **dict.fromkeys("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", DIRECTION),
    **dict.fromkeys(
        # soft hyphen, grapheme joiner, Arabic mark, Hangul filler, Khmer vowel, Mongolian separators, zero widths,
        # marks of direction, word joiner, invisible operator, Braille's blank, half-width filler, selectors,
        # byte order mark, place of an object, headless note, tags, a supplementary selector
        "\u00ad\u034f\u061c\u3164\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2063\u2800\uffa0\ufe00\ufe0f"
        "\ufeff\ufffc\U0001d159\U000e0001\U000e0041\U000e0100",
        INVISIBLE,
    ),
    **dict.fromkeys("\x00\n\t\x1b\x7f\x85\ud800\ue000\u115f\u1160\ufff9", REFUSED),
}


@pytest.mark.parametrize("text", READABLE)
def test_what_people_are_called_is_taken_as_it_is(text):
    assert texts.name(text, max_length=100) == text
    assert texts.title(text, max_length=100) == text


@pytest.mark.parametrize(("character", "sentence"), UNREADABLE.items(), ids=[f"{ord(c):04x}" for c in UNREADABLE])
@pytest.mark.parametrize("read", [texts.name, texts.title])
@pytest.mark.parametrize("pattern", ["Ana{}Gil", "{}Ana", "Ana{}", "Ana {} Gil"])
def test_what_nobody_can_see_is_refused(read, pattern, character, sentence):
    with pytest.raises(texts.Unfit) as refusal:
        read(pattern.format(character), max_length=100)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Ze" + "\u0301" * 4, MARKS),
        ("Z" + "\u0316\u0317\u0318" + "algo", MARKS),
        ("Z\u20e3\u20e3\u20e3", MARKS),
        ("ก็็็็็", MARKS),
        ("م" + "\u064b" * 5, MARKS),
        ("\u0301", MARKS),
        ("Ana \u0301", MARKS),
        ("\u2800\u2800", INVISIBLE),
        ("\u3164", INVISIBLE),
        ("", MISSING),
        ("  ", MISSING),
        ("\u00a0\u2003\u3000", MISSING),
        (None, MISSING),
        (7, "Debe ser un texto."),
        ("a" * 101, "Debe tener como máximo 100 caracteres."),
    ],
)
@pytest.mark.parametrize("read", [texts.name, texts.title])
def test_what_is_no_readable_line_is_refused_with_its_reason(read, text, sentence):
    with pytest.raises(texts.Unfit) as refusal:
        read(text, max_length=100)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("text", ["2", "-", ". .", "'", "٣", "!!!", "$"])
def test_a_name_has_a_letter_which_a_title_need_not(text):
    with pytest.raises(texts.Unfit, match="al menos una letra"):
        texts.name(text, max_length=100)

    assert texts.title(text, max_length=100) == text


@pytest.mark.parametrize(
    "emoji",
    ["🏀", "❤️", "👩‍👩‍👧", "⛹🏽‍♀️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇨🇴", "3️⃣", "™️", "🏳️‍🌈", "\U0001fae9"],
)
def test_a_title_may_have_emoji_and_a_name_not(emoji):
    assert texts.title(f"Triple {emoji}", max_length=100) == f"Triple {emoji}"

    with pytest.raises(texts.Unfit, match="sin emojis"):
        texts.name(f"Ana {emoji}", max_length=100)


@pytest.mark.parametrize(
    "text", ["a\u200db", "Ana\ufe0f", "🏀\u200d", "🏀\ufe0f\ufe0f", "🏴\U000e0067", "🏀\u202eAna"]
)
def test_what_joins_emoji_joins_nothing_else(text):
    with pytest.raises(texts.Unfit):
        texts.title(text, max_length=100)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  Ana   María ", "Ana María"),
        ("Ana\u00a0\u3000Mari\u0301a", "Ana María"),
        ("Vie\u0323\u0302t", "Việt"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국"),
    ],
)
def test_the_same_text_is_kept_in_one_way(sent, kept):
    assert texts.name(sent, max_length=100) == texts.title(sent, max_length=100) == kept


def test_the_length_is_that_of_what_is_kept():
    assert texts.name("a" + "e\u0301" * 99, max_length=100) == "a" + "é" * 99


@pytest.mark.parametrize("field", ["first_name", "last_name", "city", "country"])
def test_every_name_of_an_account_is_read_so(field):
    with pytest.raises(Invalid) as refusal:
        Registration.from_fields({**SENT, field: "Ana\u202e"})
    assert refusal.value.fields == {field: DIRECTION}

    assert getattr(Registration.from_fields({**SENT, field: "Jose\u0301  Luis"}), field) == "José Luis"


def test_a_title_is_read_so():
    with pytest.raises(Invalid) as refusal:
        check_title("Tiro\u2800")
    assert refusal.value.fields == {"title": INVISIBLE}

    assert check_title(" Tiro  🏀 ") == "Tiro 🏀"
