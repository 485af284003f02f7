"""Let somebody choose a new password, who has lost the old one.

USER is the account's number or e-mail address. Printed is a link that works once and for half an hour: hand it to the
person on a way on which you know them. What the database keeps is a hash of it.
"""

import secrets

import click

from anb import accounts, commands
from ops.dependencies import Dependencies
from ops.forget import find_user

PAGE = "/restablecer"


@click.command("reset-password", help=__doc__)
@click.argument("who", metavar="USER")
@click.option("--token-sha256", hidden=True, help="Of a token that somebody else has made and hands out.")
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, who: str, token_sha256: str | None, as_json: bool) -> int:
    """Make a link for a new password."""
    user_id, token = find_user(dependencies, who), new_token()
    with dependencies.engine.begin() as connection:
        accounts.allow_new_password(connection, user_id=user_id, token_sha256=token_sha256 or accounts.hashed(token))
    if token_sha256 is None:
        tell(link(dependencies.site_url, token), as_json=as_json)
    return commands.DONE


def new_token() -> str:
    """Return what a link is good by; it stands behind the #, which browsers send to nobody."""
    return secrets.token_urlsafe(32)


def link(site: str, token: str) -> str:
    """Return the address of the page that takes the token."""
    return f"{site}{PAGE}#{token}"


def tell(address: str, *, as_json: bool) -> None:
    """Print the link."""
    if as_json:
        commands.print_json({"link": address, "valid_seconds": accounts.RESET_SECONDS})
    else:
        print(f"{address}\nIt works once, within {accounts.RESET_SECONDS // 60} minutes.")
