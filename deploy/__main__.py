"""`python -m deploy COMMAND [KEY=VALUE ...]` prepares an account, fills it and empties it again."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from anb import commands
from deploy import cdk, cloudformation, preflight, teardown
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
    target = preflight.run_all_checks(settings, _say)
    _say(f"Deploying {_describe(target)}.")
    cdk.deploy(region=target.account.region)
    web = cloudformation.find(target.account, "AnbWeb")
    _say(f"The site is at {web.outputs['Url'] if web else 'an address that AnbWeb no longer tells'}")


@deploy.command()
@settings_argument
@commands.json_option
def down(*, settings: Settings, as_json: bool) -> None:
    """Destroy all stacks, and say what is left."""
    target = preflight.find_target(settings)
    left = teardown.destroy_everything(target, _say_on_stderr if as_json else _say)
    _report_left(target, left, as_json=as_json)


@deploy.command()
@settings_argument
@commands.json_option
def database_down(*, settings: Settings, as_json: bool) -> None:
    """Destroy the database alone."""
    target = preflight.find_target(settings)
    left = teardown.destroy_database(target, _say_on_stderr if as_json else _say)
    _report_left(target, left, as_json=as_json)


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
