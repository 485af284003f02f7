"""Usage: python -m local run [--state FOLDER], or python -m local demo."""

import argparse
import os
import sys
from pathlib import Path

from local import signals
from local.errors import CannotRun
from local.parent_death import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
STATE, DEMO = ROOT / ".local", ROOT / "build" / "demo"


def main() -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The whole system on this machine.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="run it until Ctrl-C; PORT says where, 8080 unless told")
    command.add_argument("--state", type=Path, default=STATE, help="where data, ports, secrets and logs are kept")
    command.set_defaults(do=_run)
    command = commands.add_parser("demo", help="drive the whole journey and leave its videos in build/demo")
    command.set_defaults(do=_demo)
    arguments = parser.parse_args()
    if "MAKELEVEL" in os.environ:
        die_with_parent()  # make does not always take us along
    try:
        with signals.interrupting():
            status: int = arguments.do(arguments)
    except CannotRun as reason:
        print(f"local: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return signals.INTERRUPTED
    return status


# What each command needs is imported when it runs, where a signal finds somebody who listens


def _run(arguments: argparse.Namespace) -> int:
    try:
        from local.applications import chosen  # noqa: PLC0415 see above
        from local.system import run  # noqa: PLC0415 see above

        os.umask(0o077)  # data, secrets and logs are their owner's alone
        killed = run(arguments.state.resolve(), port=_port(), as_json=_wants_json(), settings=chosen(os.environ))
    except KeyboardInterrupt:
        return 0  # before any service ran; a wish to stop like any other
    return signals.INTERRUPTED if killed else 0


def _demo(_: argparse.Namespace) -> int:
    from local import demo  # noqa: PLC0415 see above; it imports numpy

    return demo.run(DEMO)


def _port() -> int:
    value = os.environ.get("PORT", "8080")
    if value.isdigit() and 0 < int(value) < 65536:
        return int(value)
    raise CannotRun(f"PORT is {value!r}, and has to be a number from 1 to 65535")


def _wants_json() -> bool:
    value = os.environ.get("LOGS", "text")
    if value in {"text", "json"}:
        return value == "json"
    raise CannotRun(f"LOGS is {value!r}, and can be text or json")


if __name__ == "__main__":
    sys.exit(main())
