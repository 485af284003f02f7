"""What a worker is told by its environment."""

from dataclasses import dataclass

from anb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(Settings):
    """The product's settings and a folder for intermediate files, which belongs to one worker alone."""

    scratch_dir: str
