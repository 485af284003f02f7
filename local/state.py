"""What lasts between runs: a folder with data, ports and secrets, used by one process at a time."""

import fcntl
import json
import os
import random
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.errors import AlreadyRunning
from local.loopback import is_free

LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000  # below the ports that the kernel gives to outgoing connections


@dataclass(frozen=True)
class State:
    """The state folder of a system."""

    root: Path

    def folder(self, name: str) -> Path:
        """A folder for one purpose, readable to its owner only."""
        folder = self.root / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def secret(self, name: str) -> str:
        """A random value, the same in each run."""
        file = self.folder("secrets") / name
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32))
        return file.read_text()

    def port(self, name: str) -> int:
        """A free port, the same in each run as long as nobody else takes it."""
        file = self.folder("ports") / name
        kept = int(file.read_text()) if file.exists() else None
        if kept and is_free(kept):
            return kept
        port = self._unused_port()
        write_private(file, str(port))
        return port

    def _unused_port(self) -> int:
        given = {int(file.read_text()) for file in self.folder("ports").iterdir()}
        candidates = [port for port in range(LOWEST_PORT, HIGHEST_PORT) if port not in given]
        random.shuffle(candidates)
        return next(port for port in candidates if is_free(port))

    def environment(self) -> dict[str, str]:
        """What every service gets from outside, and a folder for its temporary files."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", str(self.root)),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "TMPDIR": str(self.folder("temp")),
        }

    def publish(self, settings: Mapping[str, str]) -> None:
        """Let others on this machine, who may be nobody but our owner, find the system that runs in this folder."""
        write_private(self._settings_file, json.dumps(settings))

    def published(self) -> dict[str, str] | None:
        """Return with what settings a system runs in this folder; None when none does."""
        try:
            with (self.root / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody is in it
            found: dict[str, str] = (
                json.loads(self._settings_file.read_text()) if self._settings_file.exists() else {}
            )
            return found or None
        except FileNotFoundError:
            pass
        return None

    @property
    def _settings_file(self) -> Path:
        return self.root / "settings.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out of the folder; raises AlreadyRunning when one is in it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(
                    f"the system already runs in {self.root}; stop that one first, or use another copy"
                ) from None
            self._settings_file.unlink(missing_ok=True)  # of a run that was killed
            yield


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody but its owner can read, all of it or nothing."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
    draft.rename(file)
