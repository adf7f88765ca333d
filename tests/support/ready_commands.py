"""`tanxin` for scripts that call it often: a process that has loaded the command line forks one for each call. To load
it anew takes three seconds of processor, for commands that work for a tenth of one."""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

# A script's call: its arguments, folder, environment and open files go to the process that has loaded the command line.
CALL = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as ready:
    ready.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(ready, [asked], [0, 1, 2])
    ready.shutdown(socket.SHUT_WR)
    sys.exit(int(ready.recv(9) or 1))
"""


@contextmanager
def ready_commands(folder, root):
    """The path of a program in `folder` that does what `python -m credit_api` does."""
    address, program = str(folder / "ready"), folder / "tanxin"
    program.write_text(CALL.format(python=sys.executable, address=address))
    program.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(root)}
    server = subprocess.Popen([sys.executable, __file__, address], cwd=root, env=environment)
    while not os.path.exists(f"{address}.listens"):
        assert server.poll() is None, "the command line was not loaded"
        time.sleep(0.05)
    try:
        yield program
    finally:
        server.terminate()
        server.wait()


def _serve(address):
    """What every command on the books loads, once; then a process for each call, which is as if it had loaded it."""
    gc.disable()
    for name in ("main", "books", "machines", "market", "registry"):
        importlib.import_module(f"credit_api.cli.{name}")
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, _bury)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        open(f"{address}.listens", "x").close()
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(asked)
            asked.close()


def _bury(*_):
    """Take note of calls that have ended: their time is part of what the run says it took."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(asked):
    """Be the command: with the caller's arguments, folder, environment and files. It ends the process."""
    from credit_api.cli.main import main

    given, files, *_ = socket.recv_fds(asked, 1 << 20, 3)
    while more := asked.recv(1 << 20):
        given += more
    arguments, folder, environment = json.loads(given)
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tanxin", *arguments]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for written in (sys.stdout, sys.stderr):
            written.flush()
        asked.sendall(str(code).encode())
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
