"""Raw data: compressed files that are kept as they were measured, the same bytes for the same content."""

import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any


def write(path: Path, content: Any) -> None:
    """Write content as compressed JSON, all of it or nothing; the name of the file ends with .json.gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    # No time in it, or the same content would be another file
    draft.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))
    draft.replace(path)


def read(path: Path) -> Any:
    """Return what `write` has written."""
    return json.loads(gzip.decompress(path.read_bytes()))


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below the folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".new")
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}
