"""Numbers as people in Colombia write them."""

_SWAPPED = str.maketrans({",": ".", ".": ",", "%": "\u00a0%"})


def spanish(value: object, specification: str = "") -> str:
    """Return a value for a reader: 1234.5 with `.1f` is 1.234,5 and 0.05 with `.0%` is 5 %.

    What is no number stays as it is. Without a specification a whole number is written whole, and any other with two
    decimals.
    """
    if isinstance(value, bool):
        return "sí" if value else "no"
    if value is None:
        return "n. d."  # no disponible
    if not isinstance(value, int | float):
        return str(value)
    return format(value, f",{specification or ('d' if isinstance(value, int) else '.2f')}").translate(_SWAPPED)


def table(headings: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table whose first column is words and whose others are figures."""
    rule = f"|---{'|---:' * (len(headings) - 1)}|"
    lines = (f"| {' | '.join(map(spanish, row))} |" for row in rows)
    return "\n".join([f"| {' | '.join(headings)} |", rule, *lines])
