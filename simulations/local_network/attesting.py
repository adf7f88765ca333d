"""The identity authority of a local network: a process with the key under which its subjects' keys were attested."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from federated.channel.key_file import written
from federated.channel.own_socket import is_served
from federated.errors import NodeUnavailable
from simulations.local_network.layout import AUTHORITY, Layout
from simulations.local_network.processes import Processes, Running, last_line, tanxin
from simulations.worlds.wallet import Wallet

STARTS_S, ROUND_S = 60.0, 0.1
HANDED_OVER = ".handing-over"


def start(layout: Layout, say: Callable[[str], None]) -> Running:
    """Its process, started unless it runs, once it answers. Raises `NodeUnavailable`."""
    home, processes = layout.of(AUTHORITY), Processes(layout.home)
    if not (home / "identity.key").exists():
        written(home / HANDED_OVER, Wallet.open(home).authority_secret)
        made = tanxin("identity", "init", "--home", str(home), "--secret", str(home / HANDED_OVER))
        done = subprocess.run(made, capture_output=True, text=True, check=False)
        (home / HANDED_OVER).unlink()
        if done.returncode != 0:
            raise NodeUnavailable(f"{AUTHORITY} was not made: {done.stderr.strip()}", node=AUTHORITY)
    running = processes.start(
        AUTHORITY,
        tanxin(
            "identity", "serve", "--home", str(home), "--host", layout.hosts[AUTHORITY],
            "--port", str(layout.ports[AUTHORITY]),
        ),
    )  # fmt: skip
    until = time.monotonic() + STARTS_S
    while not is_served(home):
        if not running.runs or time.monotonic() > until:
            raise NodeUnavailable(f"{AUTHORITY} did not start: {last_line(processes.log(AUTHORITY))}", node=AUTHORITY)
        time.sleep(ROUND_S)
    say(f"an identity authority, which ends keys, at {layout.url(AUTHORITY)}")
    return running
