"""What the services of a system print, whole, in files."""

import logging
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

BYTES_PER_FILE = 10_000_000
EARLIER_FILES = 1


class LogFiles:
    """A file for each service, begun anew in each run; what was before it is in `NAME.log.1`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, RotatingFileHandler] = {}
        self._lock = threading.Lock()

    def write(self, name: str, line: str) -> None:
        """Add a line to the file of a service."""
        with self._lock:
            if name not in self._files:
                self._files[name] = self._begin(name)
        self._files[name].handle(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _begin(self, name: str) -> RotatingFileHandler:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{name}.log"
        had_one = path.exists()
        file = RotatingFileHandler(path, maxBytes=BYTES_PER_FILE, backupCount=EARLIER_FILES, encoding="utf-8")
        if had_one:
            file.doRollover()
        return file
