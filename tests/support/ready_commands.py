"""`tanxin` for scripts that call it often: to load the command line anew takes three seconds of processor, for commands
that work for a tenth of one."""

import gc
import importlib
import os
import sys
from contextlib import contextmanager

from ready_process import ReadyProcess, answer, first_call


@contextmanager
def ready_commands(folder, root):
    """The path of a program in `folder` that does what `python -m credit_api` does."""
    server = ReadyProcess(folder, "tanxin", __file__, root)
    try:
        yield server.loaded()
    finally:
        server.close()


def _serve(address):
    """What every command on the books loads, once; then a process for each call, which is as if it had loaded it."""
    gc.disable()
    for name in ("main", "books", "machines", "market", "registry"):
        importlib.import_module(f"credit_api.cli.{name}")
    asked = first_call(address)
    from credit_api.cli.main import main

    sys.argv[0] = "tanxin"
    answer(asked, main)
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
