"""What takes long to make: the first worker that needs it makes it, and every worker gets a copy of its own."""

import os
import shutil
from pathlib import Path

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """A copy of the folder that `make(folder)` fills, which it does once in a run of all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = Path(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    done, own = shared.with_suffix(".made"), tmp_path_factory.mktemp(name) / "home"
    with FileLock(shared.with_suffix(".lock")):
        if not done.exists():
            make(shared)
            done.touch()
        shutil.copytree(shared, own)
    return own
