"""Composes the product's processes with waits that are the twin's speed times shorter.

gunicorn serves `twin.launcher:create_app(SPEED)`; `python -m twin.launcher SPEED` is a worker.
"""

import os
import sys
from dataclasses import fields, replace
from typing import Any

from anb.timings import Timings


def accelerated(timings: Timings, speed: float) -> Timings:
    """Return the timings divided by the speed; what is counted in whole seconds is at least one."""
    true = {field.name: getattr(timings, field.name) for field in fields(timings)}
    return replace(
        timings,
        **{
            name: max(1, round(seconds / speed)) if isinstance(seconds, int) else seconds / speed
            for name, seconds in true.items()
        },
    )


def create_app(speed: float) -> Any:
    """Return the application that gunicorn serves."""
    import anb_web  # noqa: PLC0415 a worker has no use for it
    from anb_web.dependencies import Dependencies  # noqa: PLC0415 the same
    from anb_web.settings import WebSettings  # noqa: PLC0415 the same

    settings = WebSettings.from_environment(os.environ)
    timings = accelerated(Timings(), speed)
    return anb_web.create_app(settings, dependencies=Dependencies.from_settings(settings, timings))


def main() -> int:
    """Be a worker until SIGTERM."""
    from anb_worker.service import run  # noqa: PLC0415 the web tier has no use for it

    return run(accelerated(Timings(), float(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
