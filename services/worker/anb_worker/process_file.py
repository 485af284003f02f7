"""Processes one file from the command line, with no queue and no cloud."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from anb_worker.failures import ProcessingFailure, Unprocessable
from anb_worker.processing import process

_CLEAR_LINE = "\r\x1b[K"


class NotProcessed(Exception):
    """There is no clip; the message names the file and says why."""


def _writable(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise click.BadParameter(f"{path.parent} is not a folder that can be written to.")
    return path


_TARGET = click.Path(dir_okay=False, path_type=Path)


@click.command("process")
@click.argument("input_", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", type=_TARGET, callback=_writable)
@click.option(
    "--thumbnail", type=_TARGET, callback=_writable, metavar="JPG", help="Also write a picture of the clip."
)
def command(*, input_: Path, output: Path, thumbnail: Path | None) -> None:
    """Process one local file.

    INPUT is an MP4 video, H.264 or HEVC. The branded clip goes to OUTPUT, which is replaced if it exists.
    """
    files = [input_, output, *([thumbnail] if thumbnail else [])]
    if len({path.resolve() for path in files}) < len(files):
        raise click.UsageError(f"{output}: each file needs a name of its own.")
    try:
        _process(input_, output, thumbnail)
    except Unprocessable as failure:
        raise NotProcessed(f"{input_}: {failure.reason}") from None
    except ProcessingFailure as failure:
        raise NotProcessed(f"{input_}: it could not be processed ({failure}).") from None
    except OSError as error:
        raise NotProcessed(f"{error.filename or output}: {error.strerror}.") from None


def _process(source: Path, output: Path, thumbnail: Path | None) -> None:
    report = _progress_line() if sys.stderr.isatty() else nullcontext(lambda _: None)
    with tempfile.TemporaryDirectory(prefix="anb-") as scratch, report as progress:
        process(
            source,
            output,
            thumbnail=thumbnail or Path(scratch) / "thumbnail.jpg",
            scratch=Path(scratch),
            progress=progress,
            cancelled=lambda: False,
        )


@contextmanager
def _progress_line() -> Iterator[Callable[[float], None]]:
    """Shows the part that is done on one line of the terminal, and takes the line away at the end."""

    def show(part: float) -> None:
        sys.stderr.write(f"{_CLEAR_LINE}{part:4.0%}")
        sys.stderr.flush()

    show(0)
    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR_LINE)
