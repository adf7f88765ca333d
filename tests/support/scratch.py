"""Where tests write: in memory, where there is enough of it."""

import os
import shutil

ENOUGH = 4 << 30


def _in_memory(folder="/dev/shm"):
    writable = os.access(folder, os.W_OK)
    return folder if writable and shutil.disk_usage(folder).free >= ENOUGH else ""


IN_MEMORY = _in_memory()
