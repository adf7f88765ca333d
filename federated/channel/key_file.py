"""Secrets in files of their own: made once, whole, and readable by their owner only."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32


def made(path: Path) -> bytes:
    """A fresh key of `KEY_BYTES` in a new file."""
    key = secrets.token_bytes(KEY_BYTES)
    written(path, key)
    return key


def written(path: Path, content: bytes) -> None:
    """Put content into a file in place of what was there: all of it or nothing, whenever the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # To be read by its owner only, before it gets its name: a crash leaves no half of a key.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".new")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    with suppress(OSError):  # where a folder cannot be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
