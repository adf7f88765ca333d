"""Processes of a local network: started apart from each other, listed in a file, stopped, and looked at."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from federated.channel.key_file import written
from federated.errors import CorruptData

FILE, LOGS = "processes.json", "logs"
# How long a process may take to end by itself.
ENDS_S = 10.0
# How programs draw the box that they put an error into.
BOX_SIDE, BOX_END = "│", "╰"
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started: `started_ticks` is its start by the kernel's clock, which tells it from another one
    that has its number later (proc(5))."""

    name: str
    pid: int
    started_ticks: int
    started_at: str
    command: list[str]

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return self.started_ticks > 0 and _started_ticks(self.pid) == self.started_ticks

    def memory_mib(self) -> float:
        """Resident memory."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_KIB / 1024
        except (OSError, IndexError):
            return 0.0

    def open_files(self) -> set[Path]:
        """Files that it has open."""
        return _open_files(self.pid)


class Processes:
    """Those of the network under `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def listed(self) -> list[Running]:
        """All that were started and not stopped. Raises `CorruptData`."""
        try:
            return [Running(**each) for each in json.loads((self._home / FILE).read_text("utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise CorruptData(f"{self._home / FILE} cannot be read: {error}") from error

    def running(self, name: str) -> Running | None:
        """The process of this name, if it runs."""
        return next((each for each in self.listed() if each.name == name and each.runs), None)

    def log(self, name: str) -> Path:
        """Where it writes."""
        return self._home / LOGS / f"{name}.log"

    def start(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> Running:
        """Start a process unless it runs, in a session of its own; its output goes to its log."""
        present = self.running(name)
        if present is not None:
            return present
        self.log(name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = (os.POSIX_SPAWN_OPEN, 1, str(self.log(name)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        pid = os.posix_spawn(
            command[0], list(command), os.environ | (environment or {}),
            file_actions=[nothing, log, (os.POSIX_SPAWN_DUP2, 1, 2)], setsid=True,
        )  # fmt: skip
        running = Running(name, pid, _started_ticks(pid), datetime.now(UTC).isoformat(), list(command))
        self._write([*(each for each in self.listed() if each.name != name), running])
        return running

    def stop(self, *names: str) -> list[str]:
        """End processes, all if none is named; those that had to be killed."""
        chosen = [each for each in reversed(self.listed()) if not names or each.name in names]
        for each in chosen:
            if each.runs:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGTERM)
        until, killed = time.monotonic() + ENDS_S, []
        for each in chosen:
            while each.runs and time.monotonic() < until:
                _reap(each.pid)
                time.sleep(0.05)
            if each.runs:
                killed.append(each.name)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
                _reap(each.pid)
        gone = {each.name for each in chosen}
        self._write([each for each in self.listed() if each.name not in gone])
        return killed

    def _write(self, running: Sequence[Running]) -> None:
        written(self._home / FILE, (json.dumps([asdict(each) for each in running], indent=1) + "\n").encode())


def tanxin(*arguments: str, clock: Path | None = None) -> list[str]:
    """The command line of another `tanxin` command; by the `clock` of a file (`set_clock`) if one is given."""
    program = ["credit_api"] if clock is None else ["simulations.local_network.set_clock", str(clock)]
    return [sys.executable, "-m", *program, *arguments]


def last_line(log: Path) -> str:
    """The last line that a process wrote; what it wrote in a box, if it ended with one."""
    try:
        lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it wrote nothing"
    if lines and lines[-1].startswith(BOX_END):
        inner = takewhile(lambda line: line.startswith(BOX_SIDE), reversed(lines[:-1]))
        return " ".join(reversed([line.strip(BOX_SIDE).strip() for line in inner]))
    return lines[-1] if lines else "it wrote nothing"


def files_open_in(folder: Path) -> dict[int, set[Path]]:
    """By number of a process, of those that this one may look at: which files in a folder it has open."""
    numbers = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    found = {pid: {path for path in _open_files(pid) if path.is_relative_to(folder)} for pid in numbers}
    return {pid: paths for pid, paths in found.items() if paths}


def _open_files(pid: int) -> set[Path]:
    found = set()
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(Path(each.readlink()))
    return found


def _started_ticks(pid: int) -> int:
    """When a process was started, by the kernel's clock; 0 for one that is gone, or waits for its parent to look."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in ("Z", "X") else int(fields[19])


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
