"""The command line of `python -m demo`."""

from pathlib import Path

import click

from anb import commands
from local.cli import ERRORS

FOLDER = Path(__file__).resolve().parent.parent / "build" / "demo"


@click.command()
def demo() -> int:
    """Drive the whole journey and leave its videos in build/demo."""
    from demo.run import run  # noqa: PLC0415 help needs neither numpy nor a system

    return run(FOLDER)


def main() -> int:
    """Do what the command line says; the exit code."""
    return commands.run(demo, program="demo", errors=ERRORS)
