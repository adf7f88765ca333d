"""What takes long to make: the first worker that needs it makes it, and every worker gets a copy of its own."""

import os
import shutil
from pathlib import Path

from filelock import FileLock


def made_once(tmp_path_factory, name, make):
    """A copy of the folder that `make(folder)` fills, which it does once in a run of all workers."""
    own = tmp_path_factory.mktemp(name) / "home"
    shutil.copytree(made_once_in_a_run(tmp_path_factory, name, make), own)
    return own


def made_once_in_a_run(tmp_path_factory, name, make):
    """The folder itself, which whoever asks for it leaves as it is."""
    shared = run_folder(tmp_path_factory) / f"shared-{name}"
    done = shared.with_suffix(".made")
    with FileLock(shared.with_suffix(".lock")):
        if not done.exists():
            make(shared)
            done.touch()
    return shared


def run_folder(tmp_path_factory):
    """The temporary folder of a run, which all its workers know."""
    base = tmp_path_factory.getbasetemp()
    return Path(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
