"""`python -m local COMMAND` runs the whole system on this machine."""

import os
import sys

from local import signals
from local.parent_death import die_with_parent


def main() -> int:
    """Do what the command line says; the exit code."""
    if "MAKELEVEL" in os.environ:
        die_with_parent()  # make does not always take us along
    try:
        with signals.interrupting():
            from local import cli  # noqa: PLC0415 its imports take so long that Ctrl-C may come meanwhile

            return cli.main()
    except KeyboardInterrupt:
        return signals.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
