"""Programs that scripts and test runs start often: a process that has loaded what they import forks one for each call.
To load it anew takes longer than most calls."""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

# A call: its arguments, folder, environment and open files go to the process that has loaded the program.
CALL = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as ready:
    ready.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(ready, [asked], [0, 1, 2])
    ready.shutdown(socket.SHUT_WR)
    sys.exit(int(ready.recv(9) or 1))
"""

# Where a run of several workers names the Python that has loaded what tests import.
LOADED = "TANXIN_LOADED_PYTHON"


def python():
    """The path of a Python for processes of tests: one that has loaded what they import, where there is one."""
    return os.environ.get(LOADED, sys.executable)


class ReadyProcess:
    """A server of the file `loads`, which is told more words and calls `first_call`; it ends with `close`, or with this
    process. In a run of several workers it need load nothing that they have loaded."""

    def __init__(self, folder, name, loads, root, *words):
        self.program, self._address = folder / name, str(folder / f"{name}-ready")
        self.program.write_text(CALL.format(python=sys.executable, address=self._address))
        self.program.chmod(0o755)
        environment = os.environ | {"PYTHONPATH": str(root)}
        command = [python(), loads, self._address, *words]
        self._server = subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.PIPE)

    def loaded(self):
        while not os.path.exists(f"{self._address}.listens"):
            assert self._server.poll() is None, f"what {self.program} runs was not loaded"
            time.sleep(0.05)
        return self.program

    def close(self):
        self._server.stdin.close()
        self._server.wait()


def first_call(address):
    """Wait for calls for as long as the caller of this process lives. Returns in a process of each call's own, with
    that call's arguments, folder, environment and files, and gives the connection that its exit code is sent to."""
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, _bury)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        open(f"{address}.listens", "x").close()
        while True:
            if 0 in select.select([listening, 0], [], [])[0]:
                _end()
            asked, _ = listening.accept()
            if os.fork() == 0:
                break
            asked.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    sys.argv[1:] = arguments
    return asked


def answer(asked, work):
    """Do the work of a call, and say what it would have ended a program of its own with."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for written in (sys.stdout, sys.stderr):
            written.flush()
        asked.sendall(str(int(code)).encode())


def _end():
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def _bury(*_):
    """Take note of calls that have ended: their time is part of what the run says it took."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
