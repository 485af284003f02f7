"""How workers and the Auto Scaling group of their instance spare each other.

The group tells the instance that it shall end through the instance's own metadata, which the workers watch: no
notification, and so no topic, function or role. A worker that learns of it receives nothing more and finishes
what it has in hand, recording a heartbeat every minute for more time; the last worker of the instance completes the
lifecycle action.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html

Workers of one instance know of each other through locks on two files that all of them run: this one is held by
whoever may still work, `instance.py` by whoever is busy. Neither needs a folder of its own, both work across the
private file systems that units get, and a worker that is killed holds nothing.
"""

import logging
import threading
from pathlib import Path

from anb.timings import Timings
from anb_worker import instance
from anb_worker.instance import Group, Metadata, MetadataAway, Share

_COMPLETION_ATTEMPTS = 3

PRESENCE = Path(__file__)
WORK = Path(instance.__file__)

log = logging.getLogger(__name__)


class Termination:
    """Notices that the group wants to end the instance; `requested` is set from then on."""

    def __init__(
        self,
        metadata: Metadata,
        group: Group,
        *,
        stop: threading.Event,
        timings: Timings,
        presence: Path = PRESENCE,
    ) -> None:
        """`stop` ends the watch of a worker that is stopped for another reason."""
        self.requested = threading.Event()
        self._metadata, self._group, self._share = metadata, group, Share(presence)
        self._stop, self._completed = stop, threading.Event()
        self._timings = timings
        self._is_away = False

    def start(self) -> None:
        """Look once, so that a worker that starts on an instance in termination takes nothing, then watch."""
        self._share.take()
        self._look()
        threading.Thread(target=self._watch, name="termination", daemon=True).start()

    def complete(self) -> None:
        """Let the group end the instance, unless another worker of it still works."""
        self._completed.set()
        with self._share.given_back() as is_last:
            log.info("ready for the termination", extra={"last": is_last})
            for _ in range(_COMPLETION_ATTEMPTS if is_last else 0):
                if self._group.complete_lifecycle_action() or self._stop.wait(self._timings.termination_poll_seconds):
                    break

    def _watch(self) -> None:
        while not self.requested.is_set():
            if self._stop.wait(self._timings.termination_poll_seconds):
                return
            self._look()
        while not self._completed.wait(self._timings.lifecycle_heartbeat_seconds):
            self._group.record_heartbeat()

    def _look(self) -> None:
        try:
            state = self._metadata.get("autoscaling/target-lifecycle-state")
        except MetadataAway as error:
            if not self._is_away:
                log.warning("no metadata: only a signal can end this worker", extra={"error": error})
            self._is_away = True
            return
        self._is_away = False
        if state == "Terminated":
            log.info("the group wants to end this instance")
            self.requested.set()


class Protection:
    """Keeps scale-in away from an instance with a busy worker.

    Called with what the worker is at each change and as often as wanted in between: only changes are told to the
    group, which costs at most some 3 s.
    """

    def __init__(self, group: Group, *, work: Path = WORK) -> None:
        self._group, self._share = group, Share(work)
        self._told: bool | None = None  # an earlier life of this worker may have ended while it was busy

    def __call__(self, busy: bool) -> None:
        """Take note that the worker has begun to work, or has found nothing more to do."""
        if busy == self._told:
            return
        self._told = busy
        if busy:
            self._share.take()
            self._group.protect(True)
            return
        with self._share.given_back() as is_last:
            if is_last and not self._group.protect(False):
                self._told = None  # an idle instance that stayed protected would cost money for ever
