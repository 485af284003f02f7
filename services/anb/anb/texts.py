"""What may stand in a text that a client sends."""

import re
import unicodedata

from precis_i18n import get_profile

# Control characters, which nobody types, and lone surrogates
_REFUSED = {"Cc", "Cs"}
_EMBEDDINGS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Drawn as nothing, and known to PRECIS as symbols or letters: Braille's blank, the place of an object, the note
# without a head, the filler of Khitan, hieroglyphs' blanks
_BLANKS = frozenset("\u2800\ufffc\U0001d159\U00016fe4\U00013441\U00013442")
# Enough for a Burmese syllable; of the accents that go with letters of any script, nobody reads more than two
_MAX_MARKS, _MAX_ACCENTS = 4, 2

# The characters that any language's text needs, without what is invisible or reorders its neighbours: RFC 8264,
# section 4.3. The profile for nicknames (RFC 8266) would also turn the ª of Mª José into an a.
_freeform = get_profile("FreeformClass")

# https://unicode.org/reports/tr51/#EBNF_and_Regex with the blocks that hold emoji; here joiners, variation selectors
# and tags are honest
_PICTURE = (
    "[\U0001f000-\U0001faff\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299]"
    "[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?(?:[\U000e0020-\U000e007e]{1,16}\U000e007f)?"
)
_EMOJI = re.compile(f"{_PICTURE}(?:\u200d{_PICTURE})*|[0-9#*]\ufe0f?\u20e3")


class Unfit(ValueError):
    """A text that cannot be taken; its message says why, in Spanish."""


def name(value: object, *, max_length: int) -> str:
    """Return what people are to read as the name of somebody or of a place: NFC, with single spaces.

    Raises Unfit unless it is a line of up to `max_length` characters with a letter in it, all of them readable.
    """
    text = _line(value)
    if _EMOJI.search(text):
        raise Unfit("Debe escribirse con letras, sin emojis.")
    _check_readable(text)
    if not any(unicodedata.category(character).startswith("L") for character in text):
        raise Unfit("Debe contener al menos una letra.")
    return _short(text, max_length=max_length)


def title(value: object, *, max_length: int) -> str:
    """Return a line of readable characters and emoji: NFC, with single spaces; Unfit for anything else."""
    text = _line(value)
    _check_readable(_EMOJI.sub("*", text))
    return _short(text, max_length=max_length)


def folded(text: str) -> str:
    """Return the text in NFC, each of its spaces, whatever their kind and number, a single one."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def holds_refused_characters(text: str) -> bool:
    """Say whether a text holds a control character, which nobody types, or half a character."""
    return any(unicodedata.category(character) in _REFUSED for character in text)


def _line(value: object) -> str:
    if value is None:
        raise Unfit("Este campo es obligatorio.")
    if not isinstance(value, str):
        raise Unfit("Debe ser un texto.")
    if holds_refused_characters(value):
        raise Unfit("Contiene caracteres no permitidos.")
    text = folded(value)
    if not text:
        raise Unfit("Este campo es obligatorio.")
    return text


def _short(text: str, *, max_length: int) -> str:
    if len(text) > max_length:
        raise Unfit(f"Debe tener como máximo {max_length} caracteres.")
    return text


def _check_readable(text: str) -> None:
    if any(unicodedata.bidirectional(character) in _EMBEDDINGS for character in text):
        raise Unfit("Contiene caracteres que cambian la dirección del texto.")
    if not _BLANKS.isdisjoint(text):
        raise Unfit("Contiene caracteres invisibles.")
    try:
        _freeform.enforce(text)
    except UnicodeEncodeError as error:
        is_invisible = error.reason.endswith("precis_ignorable_properties") or text[error.start] in "\u200c\u200d"
        raise Unfit(f"Contiene caracteres {'invisibles' if is_invisible else 'no permitidos'}.") from None
    if not _bears_its_marks(text):
        raise Unfit("Lleva más acentos o signos en una letra de los que se pueden leer.")


def _bears_its_marks(text: str) -> bool:
    """Say whether every mark has a letter, and no letter more marks than can be told apart.

    Spacing marks, such as the vowels of many Indic scripts, stand beside their letter and do not count.
    """
    has_letter, marks, accents = False, 0, 0
    for character in text:
        category = unicodedata.category(character)
        if category in {"Mn", "Me"}:
            marks += 1
            accents += unicodedata.name(character, "").startswith("COMBINING ")
            if not has_letter or marks > _MAX_MARKS or accents > _MAX_ACCENTS:
                return False
        elif category not in {"Mc", "Cf"}:
            has_letter, marks, accents = category != "Zs", 0, 0
    return True
