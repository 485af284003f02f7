"""Markdown documents as their readers see them: sections, links, pictures and commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_IN_HTML = re.compile(r'(?:src|href)="([^"]+)"')
_NO_WORD = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Document:
    """The text of one page."""

    text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the page that the file holds."""
        return cls(path.read_text(encoding="utf-8"))

    @cached_property
    def _tokens(self) -> list[Token]:
        return _MARKDOWN.parse(self.text)

    @cached_property
    def _headings(self) -> list[tuple[int, str, int]]:
        """The level, the title and the first line of each heading."""
        return [
            (int(opened.tag[1]), inline.content, opened.map[0])
            for opened, inline in zip(self._tokens, self._tokens[1:], strict=False)
            if opened.type == "heading_open" and opened.map
        ]

    @cached_property
    def anchors(self) -> dict[str, str]:
        """The text below each heading (down to the next of its rank), by the name under which a link reaches it."""
        lines = self.text.splitlines()
        found: dict[str, str] = {}
        for place, (level, title, begin) in enumerate(self._headings):
            ends = (line for other, _, line in self._headings[place + 1 :] if other <= level)
            name = anchor(title)
            twice = sum(1 for known in found if known == name or re.fullmatch(rf"{re.escape(name)}-\d+", known))
            found[f"{name}-{twice}" if name in found else name] = "\n".join(lines[begin + 1 : next(ends, len(lines))])
        return found

    @cached_property
    def targets(self) -> list[str]:
        """Where links and pictures lead, in their order."""
        return list(self._targets())

    def _targets(self) -> Iterator[str]:
        for token in self._tokens:
            for inner in (token, *(token.children or ())):
                if inner.type == "link_open":
                    yield str(inner.attrs["href"])
                elif inner.type == "image":
                    yield str(inner.attrs["src"])
                elif inner.type in {"html_inline", "html_block"}:
                    yield from _IN_HTML.findall(inner.content)

    @cached_property
    def code(self) -> list[str]:
        """What stands in code marks within the text, in its order."""
        return [
            inner.content for token in self._tokens for inner in token.children or () if inner.type == "code_inline"
        ]

    @cached_property
    def shell(self) -> list[str]:
        """The blocks of shell commands, in their order."""
        return [token.content for token in self._tokens if token.type == "fence" and token.info in {"", "sh"}]


def anchor(title: str) -> str:
    """Return the name that GitLab and GitHub give to a heading."""
    return _NO_WORD.sub("", title.lower()).strip().replace(" ", "-")
