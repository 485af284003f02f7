"""`python -m deploy COMMAND [KEY=VALUE ...]` prepares an account, fills it and empties it again.

The settings are those of `cdk deploy -c KEY=VALUE`, such as profile=production. Exit codes: 0 done; 1 not done, and
the last line says why and what to do; 2 wrong call; 130 interrupted.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from deploy import cdk, cloudformation, preflight, teardown
from deploy.bootstrap import bootstrap
from deploy.errors import CannotDeploy

Settings = Mapping[str, str]


def check(settings: Settings) -> None:
    """say what would be in the way of a deployment, and change nothing"""
    where = preflight.everything(settings, _say)
    _say(f"Nothing is in the way of deploying {where.profile.name} to {where.number} in {where.account.region}.")


def prepare(settings: Settings) -> None:
    """make the bucket that deployments upload to, once for each account and region"""
    _say(bootstrap(preflight.target(settings)))


def up(settings: Settings) -> None:
    """check, then deploy all stacks and print the site's address"""
    where = preflight.everything(settings, _say)
    _say(f"Deploying {where.profile.name} to {where.number} in {where.account.region}.")
    cdk.deploy(region=where.account.region)
    web = cloudformation.find(where.account, "AnbWeb")
    _say(f"The site is at {web.outputs['Url'] if web else 'an address that AnbWeb no longer tells'}")


def down(settings: Settings) -> None:
    """destroy all stacks, and say what is left"""
    teardown.destroy_everything(preflight.target(settings), _say)


def database_down(settings: Settings) -> None:
    """destroy the database alone"""
    teardown.destroy_database(preflight.target(settings), _say)


COMMANDS = {"preflight": check, "bootstrap": prepare, "up": up, "down": down, "database-down": database_down}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        subparser.add_argument("settings", metavar="KEY=VALUE", nargs="*", type=_setting)
        subparser.set_defaults(command=command)
    chosen = parser.parse_args(arguments)
    try:
        chosen.command(dict(chosen.settings))
    except CannotDeploy as error:
        return _report(error)
    except (ClientError, BotoCoreError) as error:
        return _report(f"AWS does not do it: {error}")
    except KeyboardInterrupt:
        return 130
    return 0


def _setting(word: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not sign or not key:
        raise argparse.ArgumentTypeError(f"{word!r} is not KEY=VALUE")
    return key, value


def _say(line: str) -> None:
    print(line, flush=True)


def _report(reason: object) -> int:
    print(f"deploy: {' '.join(str(reason).split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
