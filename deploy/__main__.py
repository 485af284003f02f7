"""`python -m deploy COMMAND [KEY=VALUE ...]` prepares an account, fills it and empties it again."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from anb import commands
from deploy import cdk, cloudformation, preflight, teardown
from deploy import recorded as history
from deploy.bootstrap import bootstrap as prepare
from deploy.errors import CannotDeploy, Missing, WrongSettings

Settings = Mapping[str, str]

ERRORS = {
    WrongSettings: commands.WRONG_USE,
    Missing: commands.MISSING,
    CannotDeploy: commands.FAILED,
    ClientError: commands.FAILED,
    BotoCoreError: commands.MISSING,
}


def _parse(_context: click.Context, _parameter: click.Parameter, words: Sequence[str]) -> Settings:
    for word in words:
        key, sign, _ = word.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{word!r} is not KEY=VALUE.")
    return dict(word.split("=", 1) for word in words)


def destruction_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add what may be said to a destruction beforehand."""
    for option in (
        click.option("--yes", is_flag=True, help="Ask nothing, and take no snapshot unless told to."),
        click.option("--dry-run", is_flag=True, help="Only say what would go and what would stay."),
        click.option(
            "--snapshot/--no-snapshot", default=None, help="Whether to take a snapshot of the database first."
        ),
    ):
        command = option(command)
    return command


settings_argument = click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1, callback=_parse)


@click.group()
def deploy() -> None:
    """Bring the system into an AWS account and out of it again.

    The settings are those of `cdk deploy -c KEY=VALUE`, such as profile=production.
    """


@deploy.command("preflight")
@settings_argument
@commands.json_option
def preflight_command(*, settings: Settings, as_json: bool) -> None:
    """Say what would be in the way of a deployment."""
    notes: list[str] = []
    with cdk.exclusive():
        target = preflight.run_all_checks(settings, notes.append if as_json else _say)
    if as_json:
        commands.print_json({**_place(target), "notes": notes})
    else:
        _say(f"Nothing is in the way of deploying {_describe(target)}.")


@deploy.command()
@settings_argument
def bootstrap(*, settings: Settings) -> None:
    """Make the bucket that deployments upload to.

    Once for each account and region.
    """
    _say(prepare(preflight.find_target(settings)))


@deploy.command()
@settings_argument
def up(*, settings: Settings) -> None:
    """Check, then deploy all stacks and print the site's address."""
    with cdk.exclusive():
        target = preflight.run_all_checks(settings, _say)
        _destroy_unwanted(target)
        _say(f"Deploying {_describe(target)}.")
        with _interruption_explained(target, resume="make deploy goes on where it stopped"):
            _deploy(target)
    web = cloudformation.find(target.account, target.names.web)
    _say(f"The site is at {web.outputs['Url'] if web else f'an address that {target.names.web} no longer tells'}")


def _destroy_unwanted(target: preflight.Target) -> None:
    """Take away the stack that the settings ask for no more: a deployment leaves it where it is."""
    names = [] if target.profile.load else [target.names.load]
    for stack in cloudformation.existing(target.account, names):
        _say(f"Destroying {stack.name}, which is asked for no more.")
        cloudformation.delete(target.account, [stack.name])


def _deploy(target: preflight.Target) -> None:
    try:
        cdk.deploy(region=target.account.region)
    except CannotDeploy:
        # When a deployment of ours has stopped nothing moves; otherwise somebody else's was in the way
        cloudformation.check_idle(cloudformation.existing(target.account, target.names.stacks))
        raise


@deploy.command()
@settings_argument
@destruction_options
@commands.json_option
def down(*, settings: Settings, as_json: bool, **choices: bool | None) -> int:
    """Destroy all stacks and what is in their buckets, and say what is left.

    Asks first, and says what goes, what stays and what that costs.
    """
    return _destroy(teardown.plan_everything, settings, as_json=as_json, **choices)


@deploy.command()
@settings_argument
@destruction_options
@commands.json_option
def database_down(*, settings: Settings, as_json: bool, **choices: bool | None) -> int:
    """Destroy the database alone.

    Asks first, and says what goes, what stays and what that costs.
    """
    return _destroy(teardown.plan_database, settings, as_json=as_json, **choices)


@deploy.command()
@settings_argument
@click.option("--begin", required=True, type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="Of what is fetched, in UTC.")
@click.option("--minutes", default=60, show_default=True, help="How long that was.")
def recorded(*, settings: Settings, begin: datetime, minutes: int) -> None:
    """Print what the fleets did, for `python -m twin compare`.

    AWS keeps metrics by the minute for 15 days, and what its groups did for six weeks.
    """
    target = preflight.find_target(settings)
    commands.print_json(history.fetch(target, begin=begin.replace(tzinfo=UTC), minutes=minutes))


def _destroy(
    make_plan: Callable[[preflight.Target], teardown.Plan],
    settings: Settings,
    *,
    yes: bool | None,
    dry_run: bool | None,
    snapshot: bool | None,
    as_json: bool,
) -> int:
    say = _say_on_stderr if as_json else _say
    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError(
            "There is no terminal to ask on: say --yes to destroy all the same (make destroy SETTINGS=--yes), "
            "or --dry-run to only look."
        )
    target = preflight.find_target(settings)
    with cdk.exclusive():
        plan = make_plan(target)
        _tell(plan, say)
        if dry_run:
            say("Nothing was destroyed: this only looked.")
            if as_json:
                commands.print_json({**_place(target), "goes": plan.goes, "stays": plan.stays})
            return commands.DONE
        if plan.goes and not yes:
            snapshot = _ask_for_snapshot(plan) if snapshot is None else snapshot
            if not click.confirm("Destroy this?", err=True):
                say("Nothing was destroyed.")
                return commands.FAILED
        with _interruption_explained(target, resume="the same command goes on where it stopped"):
            if snapshot:
                teardown.take_snapshot(target, say)
            left = teardown.destroy(plan, say)
    _report_left(target, left, as_json=as_json)
    return commands.DONE


def _tell(plan: teardown.Plan, say: teardown.Say) -> None:
    say(f"In account {plan.target.number}, region {plan.target.account.region}:")
    for line in plan.goes:
        say(f"  Goes: {line}")
    for line in plan.stays:
        say(f"  Stays: {line}")


def _ask_for_snapshot(plan: teardown.Plan) -> bool:
    question = f"Take a snapshot of the database first? It costs {teardown.SNAPSHOT_BY_THE_GIB}."
    return plan.can_be_kept and click.confirm(question, default=True, err=True)


@contextmanager
def _interruption_explained(target: preflight.Target, *, resume: str) -> Iterator[None]:
    """Say at Ctrl-C that only this command has ended, and what to do."""
    try:
        yield
    except KeyboardInterrupt:
        busy = [stack.name for stack in cloudformation.existing(target.account, target.names.stacks) if stack.is_busy]
        _say_on_stderr(
            f"Interrupted, but CloudFormation goes on by itself with {' and '.join(busy)}: wait until make preflight "
            f"no longer says that it is being changed, then {resume}, or make destroy removes what there is."
            if busy
            else f"Interrupted; CloudFormation changes nothing at the moment: {resume}."
        )
        raise


def _report_left(target: preflight.Target, left: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        commands.print_json({**_place(target), "left": left})
    else:
        for line in left:
            _say(f"Left: {line}")


def _place(target: preflight.Target) -> dict[str, Any]:
    return {"profile": target.profile.name, "account": target.number, "region": target.account.region}


def _describe(target: preflight.Target) -> str:
    return f"{target.profile.name} to {target.number} in {target.account.region}"


def _say(line: str) -> None:
    print(line, flush=True)


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    return commands.run(deploy, arguments, program="deploy", errors=ERRORS)


if __name__ == "__main__":
    sys.exit(main())
