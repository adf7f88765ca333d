"""What takes long to make: the first worker that needs it makes it, and every worker gets a copy of its own."""

import os
import shutil
from pathlib import Path

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """A copy of the folder that `make(folder)` fills, which it does once in a run of all workers."""
    shared = run_folder(tmp_path_factory) / f"shared-{name}"
    done, own = shared.with_suffix(".made"), tmp_path_factory.mktemp(name) / "home"
    with FileLock(shared.with_suffix(".lock")):
        if not done.exists():
            make(shared)
            done.touch()
        shutil.copytree(shared, own)
    return own


def run_folder(tmp_path_factory):
    """The temporary folder of a run, which all its workers know."""
    base = tmp_path_factory.getbasetemp()
    return Path(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
