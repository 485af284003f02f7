"""What a worker is told by its environment."""

from dataclasses import dataclass

from anb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(Settings):
    """The product's settings and a folder for intermediate files, which belongs to one worker alone.

    On an instance of an Auto Scaling group also the names of the group and of the hook that waits for its workers
    before it ends the instance; without both, only signals end a worker.
    """

    scratch_dir: str
    auto_scaling_group: str = ""
    lifecycle_hook: str = ""
