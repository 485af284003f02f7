"""How many database connections the fleets open at most, and how many a database class has to give.

What a process opens is the services' own number, which tests/unit/test_connections.py compares with these.
"""

import math
import re

PER_WEB_INSTANCE, PER_WORKER_PROCESS = 6, 2
OPERATORS = 2  # each with a command of ops
MIGRATIONS = 2  # one lock and one migration; whoever waits for the lock has not begun to serve
# RDS allows DBInstanceClassMemory / 12582880, 85 a GiB, but that memory is what RDS leaves of the class's: a micro
# has been seen with 60 to 66, larger ones with more a GiB (small 150, medium 296, large 609).
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
PER_GIB = 60
MAX_SHARE = 0.9  # the rest is for RDS itself and for a person who looks at it
# The least of all families but the compute-optimised one, which has half
_GIB = {"micro": 1, "small": 2, "medium": 4, "large": 8}
_COMPUTE_OPTIMISED = "db.c"
_MULTIPLE = re.compile(r"(\d*)xlarge")
_XLARGE_GIB = 16
_MULTIPLES = (4, 8, 12, 16, 24, 32)
# From small to large, each in every region that we know
OFFERED = (
    *(f"db.t3.{size}" for size in ("micro", "small", "medium", "large", "xlarge", "2xlarge")),
    *(f"db.m6i.{multiple}xlarge" for multiple in _MULTIPLES),
)


def needed(*, web: int, workers: int, processes: int) -> int:
    """Return how many connections so many instances open at most, those counted that stand in for others.

    While web instances are replaced a third more may be there, as their group's maintenance policy says. Workers are
    replaced by a tenth, or one by one; and one that has to finish its job before its instance ends is no longer
    counted by its group, which may have grown again.
    """
    all_web = web + math.ceil(web / 3)
    all_workers = workers and workers + math.ceil(workers / 10) + 1
    return all_web * PER_WEB_INSTANCE + all_workers * processes * PER_WORKER_PROCESS + MIGRATIONS + OPERATORS


def given(class_: str) -> int:
    """Return how many connections a database of the class has to give."""
    size = class_.rpartition(".")[2]
    multiple = _MULTIPLE.fullmatch(size)
    gib = _XLARGE_GIB * int(multiple[1] or 1) if multiple else _GIB.get(size, 0.5)
    return int(MAX_SHARE * PER_GIB * (gib / 2 if class_.startswith(_COMPUTE_OPTIMISED) else gib))


def smallest_class(connections: int) -> str | None:
    """Return the smallest class that has so many to give, or None where none has."""
    return next((class_ for class_ in OFFERED if given(class_) >= connections), None)
