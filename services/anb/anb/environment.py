"""`python -m anb.environment -- COMMAND...` becomes the command, with the secrets that its environment only names.

So no file on an instance holds a secret, and starting a process again is all that a new secret takes:

ANB_DATABASE_PARAMETER  an SSM parameter: the ARN of the secret of the database -> ANB_DATABASE_URL
ANB_DATABASE_CA         a file: whom the database's certificate must come from     (a part of that address)
ANB_JWT_SECRET_ID       a secret: what tokens are signed with                   -> ANB_JWT_SECRET
                        its version before that, while Secrets Manager has one  -> ANB_JWT_PREVIOUS_SECRET
ANB_ADDRESS_SECRET_ID   a secret: what addresses are hashed with                -> ANB_ADDRESS_SECRET

What is not named is not looked up. `--versions` prints which versions are in force instead, never a value. With
`--pending` the command starts without what cannot be had yet, and ANB_PENDING names the variables that it lacks.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.engine import URL

from anb import commands

PROGRAM = "anb.environment"
PENDING = "ANB_PENDING"
_SCHEMA = "anb"
_QUICK = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


class SecretsMissing(Exception):
    """Something that the environment names could not be had; the message names all of it, and no value."""


class CommandMissing(Exception):
    """There is no such program, or it may not be run."""


class _Absent(SecretsMissing):
    """AWS answers that there is no such secret, or no such version of it."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret, the variable that it belongs into, and the version that it is."""

    variable: str
    value: str = field(repr=False)
    version: str


ERRORS = {SecretsMissing: commands.MISSING, CommandMissing: commands.MISSING}


@click.command()
@click.option("--versions", "shows_versions", is_flag=True, help="Print the versions of the secrets instead.")
@click.option("--pending", "may_lack", is_flag=True, help="Run the command without what cannot be had yet.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def environment(shows_versions: bool, may_lack: bool, command: tuple[str, ...]) -> None:
    """Run a command, which stands after --, with its secrets."""
    if shows_versions == bool(command):
        raise click.UsageError("either --versions, or a command after --")
    secrets, problems = find(os.environ)
    if problems:
        lacking = SecretsMissing("; ".join(problems.values()))
        if not may_lack:
            raise lacking
        click.echo(f"{PROGRAM}: {lacking}; the command starts without", err=True)
    if shows_versions:
        for secret in secrets:
            click.echo(f"{secret.variable} {secret.version}")
        return
    _become(command, {secret.variable: secret.value for secret in secrets} | {PENDING: " ".join(problems)})


def _become(command: tuple[str, ...], variables: Mapping[str, str]) -> None:
    try:
        os.execvpe(command[0], command, {**os.environ, **variables})  # noqa: S606 becoming the command is the point
    except OSError as error:
        raise CommandMissing(f"{command[0]}: {error.strerror}") from None


def look_up(environment: Mapping[str, str], *, client: Callable[[str], Any] | None = None) -> list[Secret]:
    """Return every secret that the environment names; SecretsMissing tells all that could not be had.

    `client` makes the AWS client of a service.
    """
    secrets, problems = find(environment, client=client)
    if problems:
        raise SecretsMissing("; ".join(problems.values()))
    return secrets


def find(
    environment: Mapping[str, str], *, client: Callable[[str], Any] | None = None
) -> tuple[list[Secret], dict[str, str]]:
    """Return every secret that can be had, and a sentence for each variable that lacks one."""
    client = client or _client
    recipes: dict[str, tuple[str, Callable[[str], list[Secret]]]] = {
        "ANB_DATABASE_PARAMETER": (
            "ANB_DATABASE_URL",
            lambda name: [_database(name, environment.get("ANB_DATABASE_CA", ""), client)],
        ),
        "ANB_JWT_SECRET_ID": ("ANB_JWT_SECRET", lambda name: _signing_keys(name, client)),
        "ANB_ADDRESS_SECRET_ID": ("ANB_ADDRESS_SECRET", lambda name: [_address_key(name, client)]),
    }
    secrets: list[Secret] = []
    problems = {}
    for variable, (filled, recipe) in recipes.items():
        if name := environment.get(variable):
            try:
                secrets += recipe(name)
            except SecretsMissing as reason:
                problems[filled] = f"{variable} is {name}, but {reason}"
    return secrets, problems


def _client(service: str) -> Any:
    return boto3.session.Session().client(service, config=_QUICK)  # type: ignore[call-overload] # a service by name


def _database(parameter: str, authorities: str, client: Callable[[str], Any]) -> Secret:
    if not Path(authorities).is_file():
        raise SecretsMissing(f"ANB_DATABASE_CA ({authorities or 'not set'}) is no file to verify the database with")
    with _explained("the parameter"):
        arn = client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    value, version = _secret(arn, client)
    try:
        found = json.loads(value)
        url = URL.create(
            "mysql+pymysql",
            username=found["username"],
            password=found["password"],
            host=found["host"],
            port=int(found["port"]),
            database=found.get("dbname", _SCHEMA),  # RDS leaves it out where it did not create the schema itself
            # PyMySQL verifies the chain whenever it is given authorities. Its own ssl_verify_* would make it
            # forget the authorities that SQLAlchemy hands over.
            query={"ssl_ca": authorities, "ssl_check_hostname": "true"},
        )
    except KeyError as missing:
        raise SecretsMissing(f"the secret {arn} has no {missing.args[0]}") from None
    except (ValueError, TypeError):
        raise SecretsMissing(f"the secret {arn} does not describe a database") from None
    return Secret(variable="ANB_DATABASE_URL", value=url.render_as_string(hide_password=False), version=version)


def _signing_keys(name: str, client: Callable[[str], Any]) -> list[Secret]:
    """Return the key in force and, once there was another, the one before, whose tokens are still out there."""
    value, version = _secret(name, client)
    keys = [Secret(variable="ANB_JWT_SECRET", value=value, version=version)]
    with suppress(_Absent):
        value, version = _secret(name, client, stage="AWSPREVIOUS")
        keys.append(Secret(variable="ANB_JWT_PREVIOUS_SECRET", value=value, version=version))
    return keys


def _address_key(name: str, client: Callable[[str], Any]) -> Secret:
    value, version = _secret(name, client)
    return Secret(variable="ANB_ADDRESS_SECRET", value=value, version=version)


def _secret(name: str, client: Callable[[str], Any], *, stage: str = "AWSCURRENT") -> tuple[str, str]:
    """Return the secret's value, and a name for it that changes with it."""
    with _explained(f"the secret {name}"):
        answer = client("secretsmanager").get_secret_value(SecretId=name, VersionStage=stage)
    return answer["SecretString"], f"{answer['ARN']} {answer['VersionId']}"


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        absent = code == "ResourceNotFoundException"
        raise (_Absent if absent else SecretsMissing)(f"{what} cannot be read: {code}") from None
    except BotoCoreError as error:
        raise SecretsMissing(f"{what} cannot be read: {error}") from None


if __name__ == "__main__":
    sys.exit(commands.run(environment, program=PROGRAM, errors=ERRORS))
