"""`python -m ops COMMAND` looks after the system: the one of `make run`, or one in an AWS account."""

import os
import sys
import time
from collections.abc import Sequence

import click

from anb import commands
from anb.timings import Timings
from deploy.errors import CannotDeploy, Missing, WrongSettings
from local.errors import CannotRun
from ops import cost, service_commands, status
from ops.account import journey, lab, leftovers, logs, overview, people, scale, signing_key, snapshot
from ops.account.desk import Desk

ERRORS: dict[type[Exception], int] = {
    WrongSettings: commands.WRONG_USE,
    Missing: commands.MISSING,
    CannotDeploy: commands.FAILED,
    CannotRun: commands.FAILED,
    **service_commands.ERRORS,
}
# Those of which a part stays here when the rest runs on an instance
PARTLY_HERE = {**people.PARTLY_HERE, "status": overview.overview}
ASKS_AWS_ALONE = {"dlq"}  # of the commands that need the parts, those that run where one sits all the same


class RunBesideTheParts(click.Command):
    """A command that needs database and store: here where they are here, else on an instance of the account."""

    def __init__(self, command: click.Command, arguments: Sequence[str], *, group: Sequence[str] = ()) -> None:
        super().__init__(command.name, callback=command.callback, params=command.params, help=command.help)
        # click takes from the list what it has parsed
        self._words, self._arguments = (*group, str(command.name)), tuple(arguments)

    def invoke(self, ctx: click.Context) -> int:
        """Run it and return its exit code."""
        desk: Desk = ctx.obj
        if not desk.is_on_aws:
            return int(super().invoke(ctx) or commands.DONE)
        if partly_here := PARTLY_HERE.get(" ".join(self._words)):
            return partly_here(desk, ctx.params)
        return people.pass_on(people.run(desk, [*self._words, *self._arguments]))


class RunGroupBesideTheParts(click.Group):
    """A group of such commands, which by itself may be one, too."""

    def __init__(self, group: click.Group, arguments: Sequence[str]) -> None:
        super().__init__(
            group.name,
            callback=self._without_subcommand,
            params=group.params,
            help=group.help,
            commands=group.commands,
            invoke_without_command=group.invoke_without_command,
        )
        self._alone = RunBesideTheParts(group, arguments)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, and those that are its own."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is None:
            return name, command, rest
        return name, RunBesideTheParts(command, rest, group=[str(self.name)]), rest

    def _without_subcommand(self, **_params: object) -> int:
        ctx = click.get_current_context()
        return commands.DONE if ctx.invoked_subcommand else self._alone.invoke(ctx)


class Ops(click.Group):
    """All commands, each of which runs where it can."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name, and those that are its own."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and command in service_commands.COMMANDS and name not in ASKS_AWS_ALONE:
            if isinstance(command, click.Group):
                return name, RunGroupBesideTheParts(command, rest), rest
            return name, RunBesideTheParts(command, rest), rest
        return name, command, rest


@click.group(cls=Ops)
@click.option("--aws", is_flag=True, help="The system in the account, even while make run is going.")
@click.option("--prefix", metavar="NAME", help="Another environment than Anb, as it was deployed.")
@click.option("--region", metavar="NAME", help="Another region than us-east-1, as it was deployed to.")
@click.pass_obj
def ops(desk: Desk, *, aws: bool, prefix: str | None, region: str | None) -> None:
    """Look after the system.

    It is the one of `make run` while that is going, and otherwise the one in the AWS account whose credentials are
    at hand: there, what needs its database runs on one of its instances through Systems Manager.
    """
    desk.aws = aws or bool(prefix or region)
    desk.settings = {key: value for key, value in (("prefix", prefix), ("region", region)) if value}


@click.command("watch")
@click.option("--every", "seconds", type=click.IntRange(min=1), default=5, show_default=True, help="Seconds between.")
@click.option("--times", type=click.IntRange(min=1), help="Look so often; without it, until Ctrl-C.")
@commands.json_option
@click.pass_context
def watch(ctx: click.Context, *, seconds: int, times: int | None, as_json: bool) -> int:
    """Show the status again and again; the exit code is that of the last look."""
    looked, code = 0, commands.DONE
    while True:
        if not as_json:
            click.clear()
        arguments = ["--json"] if as_json else []
        look = RunBesideTheParts(status.command, arguments)
        code = look.invoke(look.make_context("status", [*arguments], parent=ctx))
        looked += 1
        if looked == times:
            return code
        time.sleep(seconds)


ACCOUNT_COMMANDS = (
    watch,
    lab.pause,
    lab.resume,
    *(module.command for module in (scale, snapshot, signing_key, logs, leftovers, journey)),
)
for command in (*service_commands.COMMANDS, *ACCOUNT_COMMANDS, cost.command):
    ops.add_command(command)


def main(arguments: Sequence[str] | None = None, timings: Timings = Timings()) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    with Desk(os.environ, timings) as desk:
        return commands.run(ops, arguments, program="ops", errors=ERRORS, dependencies=desk)


if __name__ == "__main__":
    sys.exit(main())
