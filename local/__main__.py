"""`python -m local COMMAND` runs the whole system on this machine."""

import sys

from local.launch import launch

if __name__ == "__main__":
    sys.exit(launch("local.cli"))
