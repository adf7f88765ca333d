"""Who runs where in a local network, at one instant: parties, their processes, certificates and health, and stores."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from federated.channel.node_keys import CERTIFICATE, FOLDER
from federated.channel.own_socket import OwnNode
from federated.errors import FederatedError, NodeUnavailable
from simulations.local_network.layout import AUTHORITY, OPERATOR, SUPERLINK, Layout
from simulations.local_network.parties import Role, roles
from simulations.local_network.processes import Processes, Running, files_open_in
from simulations.worlds.names import EXCHANGE

# How long a process may take to say how it is.
LOOKS_S = 3.0
SILENT = "does not answer"
SCORES, MESSAGES = "tanxin_scores", "tanxin_messages"


@dataclass(frozen=True, slots=True)
class View:
    """One process, as anybody on the machine sees it: where it answers, what it holds open of whose home; how it says
    it is (`wrong`, none if it is well; None of one that tells nobody), and what a node counts."""

    name: str
    pid: int
    address: str
    memory_mib: float
    since: str
    stores: tuple[str, ...]
    certificate_until: str | None
    wrong: tuple[str, ...] | None
    scores: Mapping[str, int]
    messages: int | None
    standing: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A store under a network's home: its mode, and which processes have it open, by name or else by number."""

    path: str
    mode: str
    opened_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """A party, the process that it runs in if it has one now, and until when it is certified."""

    name: str
    role: Role
    process: View | None
    certificate_until: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A network as it was seen at an instant."""

    home: Path
    at: datetime
    parties: tuple[Party, ...]
    stores: tuple[StoreFile, ...]

    @property
    def processes(self) -> tuple[View, ...]:
        """Those that run."""
        return tuple(each.process for each in self.parties if each.process is not None)


def look_at(layout: Layout, at: datetime | None = None) -> Seen:
    """A network as it is now. Raises `CorruptData`."""
    running = {each.name: each for each in Processes(layout.home).listed() if each.runs}
    ends = {name: _certificate_end(layout, name) for name in roles(layout)}
    found = [
        Party(name, role, _view(layout, running[name], ends[name]) if name in running else None, ends[name])
        for name, role in roles(layout).items()
    ]
    return Seen(layout.home, at or datetime.now(UTC), tuple(found), tuple(_stores(layout, running)))


def _view(layout: Layout, running: Running, certificate_until: str | None) -> View:
    name, home = running.name, layout.home.resolve()
    opened = {each for each in running.open_files() if each.suffix == ".db" and each.is_relative_to(home)}
    wrong, scores, messages, standing = None, dict[str, int](), None, None
    if name in layout.nodes:
        wrong, scores, messages, standing = _told(layout.of(name))
    elif name == EXCHANGE:
        wrong = _exchange(layout)
    elif name == AUTHORITY:
        wrong = _authority(layout)
    return View(
        name, running.pid, layout.address(name) if name in layout.ports else "-", running.memory_mib(),
        running.started_at, tuple(sorted(str(each.relative_to(home)) for each in opened)), certificate_until, wrong,
        scores, messages, standing,
    )  # fmt: skip


def _told(home: Path) -> tuple[tuple[str, ...], dict[str, int], int | None, dict[str, Any] | None]:
    """What a node says on its own socket: what is wrong, scores by what came of them, messages, and how it stands."""
    node = OwnNode(home)
    try:
        _, health = node.look("/healthz", LOOKS_S)
        _, metrics = node.look("/metrics", LOOKS_S)
        standing = node.ask("/standing")
    except NodeUnavailable:
        return (SILENT,), {}, None, None
    except FederatedError as error:
        return (error.code,), {}, None, None
    counted = {family.name: family.samples for family in text_string_to_metric_families(metrics.decode())}
    scores = {each.labels["outcome"]: int(each.value) for each in _totals(counted, SCORES)}
    messages = sum(int(each.value) for each in _totals(counted, MESSAGES))
    return tuple(json.loads(health)["wrong"]), scores, messages, standing


def _totals(counted: Mapping[str, list[Any]], name: str) -> list[Any]:
    return [each for each in counted.get(name, []) if each.name == f"{name}_total"]


def _exchange(layout: Layout) -> tuple[str, ...]:
    try:
        told = httpx.get(f"http://{layout.address(EXCHANGE)}/healthz", trust_env=False, timeout=LOOKS_S)
    except httpx.HTTPError:
        return (SILENT,)
    return () if told.status_code == HTTPStatus.OK else (f"answers {told.status_code}",)


def _authority(layout: Layout) -> tuple[str, ...]:
    try:
        status, _ = OwnNode(layout.of(AUTHORITY)).look("/healthz", LOOKS_S)
    except NodeUnavailable:
        return (SILENT,)
    return () if status == HTTPStatus.OK else (f"answers {status}",)


def _certificate_end(layout: Layout, name: str) -> str | None:
    """When a party's certificate ends, by the public file in its home."""
    paths = {SUPERLINK: layout.of(OPERATOR) / SUPERLINK / CERTIFICATE}
    try:
        pem = paths.get(name, layout.of(name) / FOLDER / CERTIFICATE).read_bytes()
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.isoformat()
    except (OSError, ValueError):
        return None


def _stores(layout: Layout, running: Mapping[str, Running]) -> list[StoreFile]:
    """All stores under a home, with every process of this machine that has one of them open."""
    home, names = layout.home.resolve(), {each.pid: name for name, each in running.items()}
    opened: dict[Path, set[str]] = {}
    for pid, files in files_open_in(home).items():
        for path in files:
            opened.setdefault(path, set()).add(names.get(pid, f"process {pid}"))
    return [
        StoreFile(
            str(path.relative_to(home)), f"{stat.S_IMODE(path.stat().st_mode):04o}",
            tuple(sorted(opened.get(path, ()))),
        )
        for path in sorted(home.rglob("*.db"))
    ]  # fmt: skip
