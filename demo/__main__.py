"""`python -m demo` drives the whole journey on a system of its own."""

import sys

from local.launch import launch

if __name__ == "__main__":
    sys.exit(launch("demo.cli"))
