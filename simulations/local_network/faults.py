"""What may go wrong between real processes of a network, done to them: certificates, clocks, connections, processes.

Each fault lasts as long as its `with`. What is touched are files in parties' homes, their connections, the processes
themselves: nothing that the product runs knows of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from federated.channel.authority import NetworkAuthority
from federated.channel.key_file import written
from federated.channel.node_keys import CERTIFICATE, REQUEST, NodeKeys
from federated.errors import NodeUnavailable
from simulations.local_network import namespaces
from simulations.local_network.bringing_up import node_process, start_nodes
from simulations.local_network.building import CA, PASSPHRASE
from simulations.local_network.layout import Layout
from simulations.local_network.processes import Processes
from simulations.local_network.relay import Relay, Treatment, passed
from simulations.worlds.names import GRIDS

# What a node says once it works by the files that lie in its home now, and how long that may take.
TAKEN, TAKES_S = "are taken anew", 30.0
# How long ago a certificate ended, and how long it had held.
ENDED, HELD = timedelta(hours=1), timedelta(days=1)
# Makes a certificate of a request.
Certifies = Callable[[bytes], bytes]


class Meddled:
    """A network whose `bank` and grid companies can be meddled with while they run: relays stand between them, which
    they are started anew for, and their clocks can be set. In network namespaces there are no relays: a certificate has
    its node's own address."""

    def __init__(self, layout: Layout, bank: str) -> None:
        self.layout, self.bank = layout, bank
        between = () if layout.namespaces else GRIDS
        self.relays = {name: Relay(layout.hosts[name], layout.ports[name]) for name in between}
        self._processes, self._clocks = Processes(layout.home), layout.home / "clocks"

    def start(self) -> None:
        """Start bank and grid companies anew, so that they can be meddled with. Raises `NodeUnavailable`."""
        seen = replace(self.layout, ports=self.layout.ports | {name: each.port for name, each in self.relays.items()})
        names = (self.bank, *GRIDS)
        self._processes.stop(*names)
        for name in names:
            written(self._clocks / name, b"0")
            node_process(seen if name == self.bank else self.layout, self._processes, name, self._clocks / name)
        start_nodes(self.layout, lambda _: None)

    def end(self) -> None:
        """Start those as they were that run on. Raises `NodeUnavailable`."""
        meddled = [each.name for each in self._processes.listed() if str(self._clocks / each.name) in each.command]
        if meddled:
            self._processes.stop(*meddled)
        start_nodes(self.layout, lambda _: None)
        self.close()

    def close(self) -> None:
        """Take the relays away."""
        for each in self.relays.values():
            each.close()

    @contextmanager
    def clocks_off(self, by: timedelta, *names: str) -> Iterator[None]:
        """While these nodes' clocks are off."""
        self._set(by, *names)
        try:
            yield
        finally:
            self._set(timedelta(0), *names)

    def _set(self, by: timedelta, *names: str) -> None:
        for name in names:
            written(self._clocks / name, str(by.total_seconds()).encode())

    @contextmanager
    def certified(self, certifies: Certifies, *names: str) -> Iterator[None]:
        """While these nodes, which run on, have certificates of their own keys that somebody else made, or at another
        time."""
        folders = {name: NodeKeys(self.layout.of(name)).folder for name in names}
        before = {name: (folder / CERTIFICATE).read_bytes() for name, folder in folders.items()}
        made = {name: certifies((folder / REQUEST).read_bytes()) for name, folder in folders.items()}
        self._install(made)
        try:
            yield
        finally:
            self._install(before)

    def _install(self, made: Mapping[str, bytes]) -> None:
        """Certificates as they would lie in homes, past what nodes look at before they take one; once nodes work by
        them, and no connection stands that was made before."""
        own = (NodeKeys(self.layout.of(self.bank)).folder / CERTIFICATE).read_bytes()
        logs = {name: self._processes.log(name) for name in {self.bank, *made}}
        told = {name: log.stat().st_size for name, log in logs.items()}
        # The bank ends its connections when a certificate of its own is installed.
        for name, pem in ({self.bank: own} | dict(made)).items():
            written(NodeKeys(self.layout.of(name)).folder / CERTIFICATE, pem)
        until = time.monotonic() + TAKES_S
        for name, log in logs.items():
            while TAKEN.encode() not in log.read_bytes()[told[name] :]:
                if time.monotonic() > until:
                    raise NodeUnavailable(f"{name} did not take its certificate anew", node=name)
                time.sleep(0.05)
        self.cut()

    def cut(self) -> None:
        """Cut all connections between bank and grid companies."""
        for each in self.relays.values():
            each.cut()

    @contextmanager
    def treated(self, towards: Treatment = passed, back: Treatment = passed) -> Iterator[None]:
        """While bytes from the bank, and those that come back, are treated so; then all connections are cut, and what
        hung in them is lost."""
        for each in self.relays.values():
            each.towards, each.back = towards, back
        try:
            yield
        finally:
            for each in self.relays.values():
                each.towards = each.back = passed
            self.cut()


def over(layout: Layout) -> Certifies:
    """The network's authority, an hour after what it certified was over; its own books stay as they are."""

    def certified(request: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="tanxin-ca-") as folder:
            shutil.copytree(layout.home / CA, folder, dirs_exist_ok=True)
            at = datetime.now(UTC) - ENDED - HELD
            made = NetworkAuthority(Path(folder)).certify(request, _passphrase(layout), at, HELD)
            return made.public_bytes(Encoding.PEM)

    return certified


def of_another_network(layout: Layout) -> Certifies:
    """An authority of a network of the same name, which is not this one's."""

    def certified(request: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="tanxin-ca-") as folder:
            passphrase, at = _passphrase(layout), datetime.now(UTC)
            other = NetworkAuthority.create(Path(folder), "local", passphrase, at)
            return other.certify(request, passphrase, at).public_bytes(Encoding.PEM)

    return certified


def _passphrase(layout: Layout) -> str:
    return (layout.home / PASSPHRASE).read_text("utf-8")


def kill(processes: Processes, name: str) -> None:
    """Kill a process, and wait until it is gone. Raises `NodeUnavailable`."""
    os.kill(pid(processes, name), signal.SIGKILL)
    while processes.running(name) is not None:
        time.sleep(0.02)


def pid(processes: Processes, name: str) -> int:
    """The number of a party's process. Raises `NodeUnavailable`."""
    running = processes.running(name)
    if running is None:
        raise NodeUnavailable(f"{name} does not run", node=name)
    return running.pid


@contextmanager
def killed(layout: Layout, *names: str) -> Iterator[None]:
    """While these nodes' processes are gone. They come back without anybody who meddles."""
    processes = Processes(layout.home)
    for name in names:
        kill(processes, name)
    try:
        yield
    finally:
        for name in names:
            node_process(layout, processes, name)
        start_nodes(layout, lambda _: None)


@contextmanager
def stopped(layout: Layout, *names: str) -> Iterator[None]:
    """While these parties' processes are there and do nothing."""
    processes = Processes(layout.home)
    for name in names:
        os.kill(pid(processes, name), signal.SIGSTOP)
    try:
        yield
    finally:
        for name in names:
            os.kill(pid(processes, name), signal.SIGCONT)


@contextmanager
def cables_out(layout: Layout, *names: str) -> Iterator[None]:
    """While these nodes' cables are out; of a network in namespaces."""
    for name in names:
        namespaces.cut(layout, name, off=True)
    try:
        yield
    finally:
        for name in names:
            namespaces.cut(layout, name, off=False)
