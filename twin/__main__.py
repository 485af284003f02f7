"""`python -m twin elastic` plays stories on the twin of AWS, over the product's real processes."""

import sys

from local.launch import launch

if __name__ == "__main__":
    sys.exit(launch("twin.cli"))
