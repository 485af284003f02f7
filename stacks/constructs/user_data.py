"""How the shell scripts in `userdata/` learn what only the stacks know."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2

# EC2's limit on the text before it is encoded: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
MAX_BYTES = 16 * 1024

_PLACEHOLDER = re.compile(r"@([A-Z][A-Z0-9_]*)@")
# Words, or none, to the shell; where there may be none the script quotes them
_HARMLESS = re.compile(r"[A-Za-z0-9._:/=+@, -]*")


class UserDataError(Exception):
    """A script and its stack do not fit together; the message says where."""


def user_data(scripts: Sequence[Path], values: Mapping[str, str]) -> ec2.UserData:
    """Return the scripts as one, with each `@NAME@` replaced by its value.

    Raises UserDataError when a script is missing, when it names a value that the stack does not give, and when a
    value would mean something to the shell. What only deployment knows (names, ARNs, addresses) never does.
    """
    for name, value in values.items():
        if not cdk.Token.is_unresolved(value) and not _HARMLESS.fullmatch(value):
            raise UserDataError(f"{name} must be letters, digits, spaces and . _ : / = + @ , -, not {value!r}.")
    return ec2.UserData.custom("\n".join(_filled(script, values) for script in scripts))


def _filled(script: Path, values: Mapping[str, str]) -> str:
    if not script.is_file():
        raise UserDataError(f"{script} is missing.")
    text = script.read_text(encoding="utf-8")
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - values.keys())
    if unknown:
        raise UserDataError(f"{script.name} asks for {', '.join(unknown)}, which its stack does not give.")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
