"""Starts a program of this machine so that it can be told to stop from its first moment on."""

import importlib
import os

from local import signals
from local.parent_death import die_with_parent


def launch(module: str) -> int:
    """Run `main` of the module, whose imports take so long that Ctrl-C may come meanwhile; its exit code."""
    if "MAKELEVEL" in os.environ:
        die_with_parent()  # make does not always take us along
    try:
        with signals.interrupting():
            return int(importlib.import_module(module).main())
    except KeyboardInterrupt:
        return signals.INTERRUPTED
