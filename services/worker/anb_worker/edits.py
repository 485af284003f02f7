"""Shows what a clip's edit list shows, with filters of our own.

ffmpeg shows nothing of an edit of length 0, which lasts to the end, and cuts no fragments. An empty edit at the start
would delay the first picture, and a constant rate would fill the time before it with copies.
"""

from collections.abc import Sequence
from itertools import pairwise

from anb.mp4 import Edit

_SEEK_SECONDS = 5.0  # a later start is looked up; before it, decoding what is not shown costs little
_SEEK_MARGIN_SECONDS = 1.0  # pictures may be shown in another order than they are stored
_ENDLESS_SECONDS = 1e6
_ROUNDING_SECONDS = 0.001  # clocks of films tick 600 or 1,000 times a second


def input_options(edits: Sequence[Edit]) -> tuple[str, ...]:
    """Return what an input needs so that its pictures keep the times that the edit list speaks of."""
    if not _in_order(edits):
        return ("-copyts",)
    start = edits[0].start_seconds if edits else 0
    seek = ("-noaccurate_seek", "-ss", f"{start - _SEEK_MARGIN_SECONDS:.3f}") if start > _SEEK_SECONDS else ()
    return ("-copyts", "-ignore_editlist", "1", *seek)


def chain(edits: Sequence[Edit], *, from_seconds: float) -> str:
    """Return the filters that leave what the edits show, one right after the other; `from_seconds` becomes 0."""
    if not edits or not _in_order(edits):  # ffmpeg plays a list that shows something twice
        return f"setpts=PTS-{from_seconds:.6f}/TB"
    gaps = [(later.start_seconds, later.start_seconds - edit.end_seconds) for edit, later in pairwise(edits)]
    ends = [*(edit.end_seconds for edit in edits[:-1]), _ENDLESS_SECONDS]
    starts = [edit.start_seconds for edit in edits]
    shown = "+".join(f"gte(t,{_clock(start)})*lt(t,{_clock(end)})" for start, end in zip(starts, ends, strict=True))
    left_out = "".join(f"+{seconds:.6f}*gte(T,{_clock(start)})" for start, seconds in gaps)
    end = edits[-1].end_seconds - sum(seconds for _, seconds in gaps) - from_seconds
    # Without an end of its own the last picture would last as long as what is left out after it
    cut = f",trim=end={_clock(end)}" if end < _ENDLESS_SECONDS else ""
    return f"select='{shown}',setpts='PTS-({from_seconds:.6f}{left_out})/TB'{cut}"


def _clock(seconds: float) -> str:
    return f"{seconds - _ROUNDING_SECONDS:.4f}"


def _in_order(edits: Sequence[Edit]) -> bool:
    return all(edit.end_seconds <= later.start_seconds for edit, later in pairwise(edits))
