"""What may stand in a text that a client sends."""

import unicodedata

# Control characters and lone surrogates; format characters stay, since emoji and some scripts join with them
_REFUSED = {"Cc", "Cs"}


def holds_refused_characters(text: str) -> bool:
    """Say whether a text holds a control character, which nobody types, or half a character."""
    return any(unicodedata.category(character) in _REFUSED for character in text)


def complaint(value: object, *, longest: int) -> str | None:
    """Return why the value is no line of 1 to `longest` characters, in Spanish, or None."""
    if value is None:
        return "Este campo es obligatorio."
    if not isinstance(value, str):
        return "Debe ser un texto."
    if holds_refused_characters(value):
        return "Contiene caracteres no permitidos."
    if not value.strip():
        return "Este campo es obligatorio."
    if len(value.strip()) > longest:
        return f"Debe tener como máximo {longest} caracteres."
    return None
