"""Replace the key that signs tokens, and nobody is signed out.

Within three minutes each web server notices the new key and signs with it. It accepts the key before as well, whose
tokens are good until they expire, within the hour; the key before that one is worth nothing. So a second rotation
within the hour would sign people out: it is refused, unless that is what --end-sessions asks for.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from anb import commands
from deploy import cloudformation
from ops.account.desk import Desk
from ops.dependencies import CommandFailed

TOKEN_LIFETIME = timedelta(hours=1)  # as anb_web/tokens.py gives them
NOTICED_WITHIN = timedelta(minutes=5)  # after which every web server signs with a new key
KEY_LENGTH = 64


@click.group("key", help=__doc__)
def command() -> None:
    """Do nothing by itself."""


@command.command()
@click.option("--end-sessions", is_flag=True, help="Sign everybody out at once, because a key has become known.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@commands.json_option
@click.pass_obj
def rotate(desk: Desk, *, end_sessions: bool, dry_run: bool, as_json: bool) -> int:
    """Replace the key."""
    secrets, name = desk.account.client("secretsmanager"), _secret(desk)
    age = datetime.now(UTC) - _made_at(secrets, name)
    if not end_sessions and age < TOKEN_LIFETIME + NOTICED_WITHIN and _has_previous(secrets, name):
        minutes = (TOKEN_LIFETIME + NOTICED_WITHIN - age) // timedelta(minutes=1) + 1
        raise CommandFailed(
            f"the key was replaced {age // timedelta(minutes=1)} minutes ago, and tokens of the one before are still "
            f"in use: wait {minutes} minutes, or sign everybody out with --end-sessions"
        )
    times = 2 if end_sessions else 1
    if not dry_run:
        for _ in range(times):
            _replace(secrets, name)
    said = "nobody is signed out" if times == 1 else "everybody signs in again"
    if as_json:
        commands.print_json({"secret": name, "replaced": not dry_run, "ends_sessions": end_sessions})
    else:
        print(
            f"{'would replace' if dry_run else 'replaced'} the key; web servers notice within 3 minutes, and {said}"
        )
    return commands.DONE


def _secret(desk: Desk) -> str:
    for resource in cloudformation.resources(desk.account, desk.names.web):
        if resource.type == "AWS::SecretsManager::Secret" and resource.name.startswith("TokenSecret"):
            return resource.id
    raise CommandFailed(f"{desk.names.web} has no key to replace")


def _versions(secrets: Any, name: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = secrets.list_secret_version_ids(SecretId=name)["Versions"]
    return versions


def _made_at(secrets: Any, name: str) -> datetime:
    made_at: datetime = next(
        it["CreatedDate"] for it in _versions(secrets, name) if "AWSCURRENT" in it["VersionStages"]
    )
    return made_at


def _has_previous(secrets: Any, name: str) -> bool:
    return any("AWSPREVIOUS" in it["VersionStages"] for it in _versions(secrets, name))


def _replace(secrets: Any, name: str) -> None:
    """Never printed, and by no hand: Secrets Manager makes it."""
    key = secrets.get_random_password(PasswordLength=KEY_LENGTH, ExcludePunctuation=True)["RandomPassword"]
    secrets.put_secret_value(SecretId=name, SecretString=key)
