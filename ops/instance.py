"""`ops COMMAND` on an instance: the commands that need its database, store and queue, with its settings."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from anb import commands
from anb.environment import SecretsMissing, look_up
from anb.timings import Timings
from ops import service_commands
from ops.dependencies import Dependencies

SETTINGS = Path("/etc/anb/settings.env")  # as userdata/boot.sh writes it
ERRORS: dict[type[Exception], int] = {SecretsMissing: commands.MISSING, **service_commands.ERRORS}


class Instance(Dependencies):
    """The parts as the instance's settings name them, whose secrets are looked up when the first command asks."""

    def _settings_environment(self) -> Mapping[str, str]:
        named = {**os.environ, **read_settings(SETTINGS)}
        os.environ |= named  # where boto3 reads its region
        return {**named, **{secret.variable: secret.value for secret in look_up(named)}}


def read_settings(file: Path) -> dict[str, str]:
    """Return what the file sets, which systemd reads as well; raise OSError for one that may not be read."""
    words = shlex.split(file.read_text(encoding="utf-8"), comments=True)
    return dict(word.split("=", 1) for word in words)


@click.group(commands={str(command.name): command for command in service_commands.COMMANDS})
def ops() -> None:
    """Look after the system that this instance is a part of: needs root, who may read its settings."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end with its exit code."""
    with Instance(os.environ, Timings()) as instance:
        sys.exit(commands.run(ops, arguments, program="ops.instance", errors=ERRORS, dependencies=instance))


if __name__ == "__main__":
    main()
