"""What `ops` is on an emulated instance: the real command, whose settings lie elsewhere.

Usage: python ops_on_instance.py SETTINGS [ARGUMENT ...]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops import instance

if __name__ == "__main__":
    instance.SETTINGS = Path(sys.argv[1])
    instance.main(sys.argv[2:])
