"""`python -m anb_worker run` works off the queue; `process` does the same to a file, without AWS or database."""

import argparse
import sys

from anb_worker import process_file


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m anb_worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="work off the queue until SIGTERM")
    process_file.add_arguments(commands.add_parser("process", help="process one local file"))
    arguments = parser.parse_args()
    if arguments.command == "process":
        return process_file.main(arguments)
    from anb_worker.service import run  # noqa: PLC0415 loading AWS and the database costs `process` a second

    return run()


if __name__ == "__main__":
    sys.exit(main())
