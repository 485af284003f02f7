"""How our programs answer whoever runs them: an exit code, and one sentence on stderr where something is wrong.

0    done
1    it failed, or it found something that a person should look at
2    wrong use
3    what it needs is missing or does not answer: settings, credentials, a program, the database
130  interrupted
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

DONE, FAILED, WRONG_USE, MISSING, INTERRUPTED = 0, 1, 2, 3, 130

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def run(
    command: click.Command,
    arguments: Sequence[str] | None = None,
    *,
    program: str,
    errors: Mapping[type[Exception], int],
    dependencies: object = None,
) -> int:
    """Run a command, by default with what the command line says, and return its exit code.

    `program` is what `python -m` starts; `errors` tells the exit code of each exception that the command may raise,
    the more special ones first. The command gets `dependencies` as its context's object.
    """
    try:
        code = command.main(
            arguments,
            prog_name=f"python -m {program}",
            standalone_mode=False,
            max_content_width=118,
            obj=dependencies,
        )
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except tuple(errors) as error:
        say_error(program, error)
        return next(code for kind, code in errors.items() if isinstance(error, kind))
    return code or DONE


def say_error(program: str, error: Exception) -> None:
    """Tell on stderr, in one line after the program's name, what is wrong."""
    reason = getattr(error, "orig", error)  # what the driver said, without the lines that SQLAlchemy adds
    click.echo(f"{program}: {' '.join(str(reason).split())}", err=True)


def print_json(value: Any) -> None:
    """Print what a program reports, for other programs; what JSON does not know becomes text."""
    click.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))
