"""Processes one file from the command line, with no queue and no cloud."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from anb_worker.failures import ProcessingFailure, Unprocessable
from anb_worker.processing import process

_CLEAR_LINE = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `process` takes."""
    parser.add_argument("input", type=Path, help="an MP4 video, H.264 or HEVC")
    parser.add_argument("output", type=Path, help="where the branded clip goes; replaced if it exists")
    parser.add_argument("--thumbnail", type=Path, metavar="JPG", help="also write a picture of the clip")


def main(arguments: argparse.Namespace) -> int:
    """Process one file; 0 when it worked, 1 after a line on stderr that says why not."""
    problem = _problem_with(arguments.input, arguments.output, arguments.thumbnail)
    if problem is None:
        problem = _process(arguments.input, arguments.output, arguments.thumbnail)
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _problem_with(source: Path, output: Path, thumbnail: Path | None) -> str | None:
    """What is wrong with the paths, before any work is done on them."""
    if not source.is_file():
        return f"{source}: {'no es un archivo' if source.exists() else 'no existe'}."
    targets = [output, *([thumbnail] if thumbnail else [])]
    if len({path.resolve() for path in (source, *targets)}) <= len(targets):
        return f"{output}: cada archivo necesita su propio nombre."
    return next((problem for target in targets if (problem := _problem_with_target(target))), None)


def _problem_with_target(path: Path) -> str | None:
    if path.is_dir():
        return f"{path}: es una carpeta; indica el nombre del archivo."
    if not path.parent.is_dir():
        return f"{path.parent}: la carpeta no existe."
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent}: no se puede escribir en la carpeta."
    return None


def _process(source: Path, output: Path, thumbnail: Path | None) -> str | None:
    """Why it did not work, if it did not."""
    report = _progress_line() if sys.stderr.isatty() else nullcontext(lambda _: None)
    try:
        with tempfile.TemporaryDirectory(prefix="anb-") as scratch, report as progress:
            process(
                source,
                output,
                thumbnail=thumbnail or Path(scratch) / "thumbnail.jpg",
                scratch=Path(scratch),
                progress=progress,
                cancelled=lambda: False,
            )
    except Unprocessable as failure:
        return f"{source}: {failure.reason}"
    except ProcessingFailure as failure:
        return f"{source}: no se pudo procesar ({failure})."
    except OSError as error:
        return f"{error.filename or output}: {error.strerror}."
    except KeyboardInterrupt:
        return "Interrumpido."
    return None


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
