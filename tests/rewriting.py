"""Rewrites MP4 files box by box, as the editors and cameras do that write what a parser does not expect."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf"}


@dataclass
class Box:
    """A box of a file, with either the boxes in it or its other content; of no type, the file itself."""

    kind: bytes = b""
    content: bytes = b""
    boxes: list["Box"] = field(default_factory=list)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a file whose boxes are all shorter than 4 GiB; ValueError for another."""
        return cls(boxes=list(_parse(data)))

    def __bytes__(self) -> bytes:
        payload = self.content + b"".join(map(bytes, self.boxes))
        return struct.pack(">I4s", 8 + len(payload), self.kind) + payload if self.kind else payload

    def find(self, path: str) -> "Box":
        """The first box there, by types from the outside in."""
        box = self
        for kind in path.split("/"):
            box = next(each for each in box.boxes if each.kind == kind.encode())
        return box

    @property
    def tracks(self) -> list["Box"]:
        return [box for box in self.find("moov").boxes if box.kind == b"trak"]

    @property
    def video(self) -> "Box":
        """The first track of pictures."""
        return next(track for track in self.tracks if track.find("mdia/hdlr").content[8:12] == b"vide")

    @property
    def tables(self) -> "Box":
        return self.video.find("mdia/minf/stbl")

    @property
    def entry(self) -> bytes:
        """The one sample description of the video."""
        return self.tables.find("stsd").content[8:]

    @entry.setter
    def entry(self, entry: bytes) -> None:
        table = self.tables.find("stsd")
        table.content = table.content[:8] + struct.pack(">I", len(entry)) + entry[4:]


def _parse(data: bytes) -> Iterator[Box]:
    while data:
        length, kind = struct.unpack_from(">I4s", data)
        if not 8 <= length <= len(data):
            raise ValueError("a box of no length that it can have")
        payload = data[8:length]
        yield Box(kind, boxes=list(_parse(payload))) if kind in CONTAINERS else Box(kind, payload)
        data = data[length:]


Edit = Callable[[Box], None]


def rewritten(data: bytes, *edits: Edit) -> bytes:
    """The file after the edits, its chunks where its tables say."""
    file = Box.parse(data)
    before = _media_position(file)
    for edit in edits:
        edit(file)
    moved = _media_position(file) - before
    for track in file.tracks:
        table = track.find("mdia/minf/stbl/stco")
        offsets = (offset + moved if offset < POINTS_ELSEWHERE else offset for offset in numbers(table.content[8:]))
        table.content = table.content[:8] + b"".join(struct.pack(">I", offset) for offset in offsets)
    return bytes(file)


POINTS_ELSEWHERE = 0xC0000000  # offsets from here on point nowhere, on purpose


def _media_position(file: Box) -> int:
    return sum(len(bytes(box)) for box in file.boxes[: [box.kind for box in file.boxes].index(b"mdat")])


def numbers(content: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(content) // 4}I", content)
