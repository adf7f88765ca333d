"""What the program writes is its owner's: books, nodes' stores and keys are read by nobody else on the machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What the program keeps in a home. A home may be a folder with other things in it; those are left as they are.
OURS = (
    "tanxin.db*",
    "audit.jsonl",
    "sandbox-*",
    "seal.key*",
    "network",
    "grid-nodes",
    "signing",
    "registry",
    "nodes",
    "node-keys",
    "private",
)
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_for_owner_only() -> None:
    """From now on whatever this process writes is its owner's. For programs; a library leaves the mask alone."""
    os.umask(OTHERS)


def take_from_others(home: Path) -> None:
    """Take away what others may do with what is in a home already."""
    for path in _ours(home):
        # A service beside this one removes its logs and drafts while they are walked.
        with suppress(FileNotFoundError):
            found = path.stat()
            if found.st_mode & OTHERS and found.st_uid == os.geteuid():
                path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def _ours(home: Path) -> Iterator[Path]:
    for pattern in OURS:
        for path in home.glob(pattern):
            if not path.is_symlink():
                yield path
                yield from (each for each in path.rglob("*") if not each.is_symlink())
