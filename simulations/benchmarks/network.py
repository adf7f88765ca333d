"""A network of real processes: what a score takes between nodes beside one process, and what faults do to scores.

Both sides answer the same customers, by the same version and the same stores: the one process opens copies.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.channel.own_socket import OwnNode
from federated.consent.record import Purpose
from federated.errors import NodeUnavailable
from federated.governance.model_registry import ModelRegistry
from federated.serving import Network, NoFile, ScoreQuery
from simulations.benchmarks.network_faults import BANK, Fault, Told, asked, measure_faults
from simulations.local_network.layout import OPERATOR, Layout
from simulations.local_network.processes import Processes

CLIENTS = 16
TICKS = os.sysconf("SC_CLK_TCK")
Say = Callable[[str], None]


@dataclass(slots=True)
class NetworkFigures:
    """Milliseconds of a score at one client, scores a second at `CLIENTS`, CPU of all nodes a score; the same in one
    process; and what training exchanged."""

    customers: int = 0
    apart_p50_ms: float = 0.0
    apart_p95_ms: float = 0.0
    apart_cpu_ms: float = 0.0
    apart_per_second: float = 0.0
    in_process_p50_ms: float = 0.0
    in_process_cpu_ms: float = 0.0
    in_process_per_second: float = 0.0
    ratio_p50: float = 0.0
    wrong: int = 0
    training: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def measure_network(layout: Layout, say: Say, most: int = 160) -> NetworkFigures:
    """Measure a network that is up. Raises `NodeUnavailable` where too few customers can be scored jointly."""
    figures, bank = NetworkFigures(), OwnNode(layout.of(BANK))
    subjects = _subjects(bank, most)
    if len(subjects) < 40:
        raise NodeUnavailable(f"{BANK} has {len(subjects)} customers who can be scored with a grid company", node=BANK)
    manifest = ModelRegistry(layout.of(OPERATOR)).manifests()[-1]
    trained = manifest.metrics["federated"]
    figures.training = {name: trained[name] for name in ("seconds", "exchanges", "bytes", "auc") if name in trained}
    one, many = subjects[: len(subjects) // 3], subjects[len(subjects) // 3 :]
    figures.customers = len(subjects)
    say(f"{len(one)} scores by one client, {len(many)} by {CLIENTS}, between processes")
    before, seconds, told = _cpu(layout), [], {}
    for subject in one:
        began = time.perf_counter()
        told[subject] = asked(bank, subject)
        seconds.append(time.perf_counter() - began)
    figures.apart_cpu_ms = 1000 * (_cpu(layout) - before) / len(one)
    figures.apart_p50_ms = 1000 * statistics.median(seconds)
    figures.apart_p95_ms = 1000 * statistics.quantiles(seconds, n=20)[-1]
    found, figures.apart_per_second = _many(lambda subject: asked(bank, subject), many)
    told |= found
    say("the same in one process")
    with _together(layout) as network:
        for subject in one[:5]:
            _scored(network, subject)
        cpu, seconds, known = time.process_time(), [], {}
        for subject in one:
            began = time.perf_counter()
            known[subject] = _scored(network, subject)
            seconds.append(time.perf_counter() - began)
        figures.in_process_cpu_ms = 1000 * (time.process_time() - cpu) / len(one)
        figures.in_process_p50_ms = 1000 * statistics.median(seconds)
        found, figures.in_process_per_second = _many(lambda subject: _scored(network, subject), many)
        known |= found
    figures.ratio_p50 = figures.apart_p50_ms / figures.in_process_p50_ms
    figures.wrong = sum(told[subject] != known[subject] for subject in subjects)
    figures.faults = measure_faults(layout, bank, subjects, known, say)
    return figures


def _subjects(bank: OwnNode, most: int) -> list[str]:
    """Customers that a grid company has a file of, and consented: each is asked about once to find out."""
    found: list[str] = []
    after = ""
    while len(found) < most:
        # A bank is answered a thousand times a month: nobody is asked about who is not needed.
        page = bank.ask("/customers", {"limit": 20, "after": after})["subjects"]
        if not page:
            break
        after = page[-1]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda subject: asked(bank, subject), page))
        found += [subject for subject, answer in zip(page, answers, strict=True) if answer[1] == "included"]
    return found[:most]


def _scored(network: Network, subject: str) -> Told:
    found = network.score(
        ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, datetime.now(UTC))
    )  # fmt: skip
    return (None, "no_file") if isinstance(found, NoFile) else (found.score, found.electricity.value)


def _many(ask: Callable[[str], Told], subjects: Sequence[str]) -> tuple[dict[str, Told], float]:
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = dict(zip(subjects, pool.map(ask, subjects), strict=True))
    return found, len(subjects) / (time.perf_counter() - began)


@contextmanager
def _together(layout: Layout) -> Iterator[Network]:
    """All nodes' stores copied into one home, and opened by this process."""
    home = layout.home / ".together"
    shutil.rmtree(home, ignore_errors=True)
    for name in layout.nodes:
        for folder in ("nodes", "node-keys"):
            shutil.copytree(layout.of(name) / folder, home / folder, dirs_exist_ok=True)
    shutil.copytree(layout.of(BANK) / "registry", home / "registry")
    network = Network.open(home)
    try:
        yield network
    finally:
        network.close()
        shutil.rmtree(home, ignore_errors=True)


def _cpu(layout: Layout) -> float:
    """Seconds of CPU that all nodes took so far."""
    total = 0
    for each in Processes(layout.home).listed():
        if each.name in layout.nodes and each.runs:
            fields: list[Any] = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS
