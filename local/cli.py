"""The commands of `python -m local`."""

import os
from pathlib import Path

import click

from anb import commands
from local.errors import CannotRun, ProgramMissing

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
ERRORS: dict[type[Exception], int] = {ProgramMissing: commands.MISSING, CannotRun: commands.FAILED}


@click.group()
def local() -> None:
    """Run the whole system on this machine."""


# What a command needs is imported when it runs: help needs none of it


@local.command()
@click.option(
    "--state",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    default=STATE,
    help="Where data, ports, secrets and logs are kept.",
)
@click.option(
    "--port", envvar="PORT", show_envvar=True, type=click.IntRange(1, 65535), default=8080, help="Where it answers."
)
@click.option(
    "--logs",
    envvar="LOGS",
    show_envvar=True,
    type=click.Choice(["text", "json"]),
    default="text",
    help="How the terminal shows them.",
)
def run(*, state: Path, port: int, logs: str) -> int:
    """Run it until Ctrl-C."""
    try:
        from local.applications import chosen  # noqa: PLC0415 see above
        from local.system import run as run_system  # noqa: PLC0415 see above

        os.umask(0o077)  # data, secrets and logs are their owner's alone
        killed = run_system(state, port=port, as_json=logs == "json", settings=chosen(os.environ))
    except KeyboardInterrupt:
        return commands.DONE  # before any service ran; a wish to stop like any other
    return commands.INTERRUPTED if killed else commands.DONE


def main() -> int:
    """Do what the command line says; the exit code."""
    return commands.run(local, program="local", errors=ERRORS)
