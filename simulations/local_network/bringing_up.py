"""From nothing to the first score: homes, processes, training, decisions. What is there already is left as it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.channel.own_socket import ask_own
from federated.errors import ConsentMissing, HomeOccupied, NodeUnavailable, QueryBudgetSpent, TrainingFailed
from federated.governance.model_registry import ModelRegistry
from simulations.local_network import attesting, flower, lending, namespaces
from simulations.local_network.building import PASSPHRASE, certify_all, hand_out
from simulations.local_network.layout import AUTHORITY, HOST, NETWORK, OPERATOR, Layout
from simulations.local_network.processes import Processes, Running, last_line, tanxin
from simulations.worlds.credit_nodes import CreditTables
from simulations.worlds.names import BANKS

# How long nodes may take to answer and to meet each other.
MEETING_S = 120.0
ROUND_S = 0.2
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a local network is to be: its data, how many folds are measured, from which seed, and the lowest score that
    is approved. `least_rows` is what nodes insist on, in place of their own limits; with `superlink` runs begin over
    Flower's deployment engine."""

    tables: Callable[[], CreditTables]
    folds: int
    seed: int
    cut_off: int
    least_rows: int | None = None
    superlink: bool = True


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """While no other process brings the network of this home up. Raises `HomeOccupied`."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeOccupied(f"another process brings the network of {home} up") from None
        yield
    finally:
        os.close(descriptor)


def bring_up(layout: Layout, wanted: Wanted, say: Say) -> dict[str, Any]:
    """Bring a network up: trained, approved, asked for one score and for a loan on it, all returned with the seconds.

    Raises `FederatedError`; what was begun is taken up by the next call. One at a time (`alone`).
    """
    began, at = time.monotonic(), datetime.now(UTC)
    if layout.namespaces:
        namespaces.make(layout)
        say(f"a network namespace for each node, in {NETWORK}.0/24")
    say("an authority, and a key and certificate for each party")
    certify_all(layout, at)
    say("data handed out, each party's into its own store")
    hand_out(layout, wanted.tables, wanted.folds + 1, at, least_rows=wanted.least_rows)
    if wanted.superlink:
        flower.prepare(layout, (layout.home / PASSPHRASE).read_text("utf-8"), at)
    attesting.start(layout, say)
    start_nodes(layout, say)
    registry = ModelRegistry(layout.of(OPERATOR))
    if not registry.manifests():
        _train(layout, wanted, say)
    version = registry.manifests()[-1].version
    _decide(layout, version, say)
    subject, answer, seconds = first_score(layout)
    say(f"{BANKS[0]} scores {subject}: {answer['score']} ({answer['basis']}) in {1000 * seconds:.0f} ms")
    lending.start(layout, say)
    lent = lending.first_loan(layout, version, say)
    say(f"{BANKS[0]} decides at the exchange by its node's statement: {_lent(lent)}")
    done = {"version": version, "seconds": round(time.monotonic() - began, 1), "subject": subject, "answer": answer}
    return done | lent


def _lent(lent: Mapping[str, Any]) -> str:
    decision, loan = lent["decision"], lent["loan"]
    if loan is None:
        return str(decision["outcome"])
    return f"{decision['outcome']}, CNY {int(loan['drawn_fen']) / 100:,.2f} paid out"


def start_nodes(layout: Layout, say: Say) -> None:
    """Start nodes that do not run, and wait until all have met. Raises `NodeUnavailable` with what a log says."""
    processes = Processes(layout.home)
    for name in layout.nodes:
        node_process(layout, processes, name)
    say(f"{len(layout.nodes)} nodes, each in a process of its own")
    until = time.monotonic() + MEETING_S
    waiting = set(layout.nodes)
    while waiting:
        for name in sorted(waiting):
            if _has_met(layout, name):
                waiting.discard(name)
            elif processes.running(name) is None or time.monotonic() > until:
                raise NodeUnavailable(f"{name} did not start: {last_line(processes.log(name))}", node=name)
        time.sleep(ROUND_S)
    say("all nodes have met, over mutual TLS")


def node_process(layout: Layout, processes: Processes, name: str, clock: Path | None = None) -> Running:
    """The process of a node, started unless it runs; with a `clock` it is off by the seconds that are in that file."""
    command = tanxin(
        "node", "serve", "--home", str(layout.of(name)), "--store", str(layout.store(name)),
        "--host", layout.hosts[name], "--port", str(layout.ports[name]), *layout.urls("--peer", but=name),
        "--identity", layout.url(AUTHORITY), *_supernode(layout, name), clock=clock,
    )  # fmt: skip
    # Two processors for five nodes: a library's threads of its own would only wait for each other.
    return processes.start(name, layout.within(name, command), {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})


def _supernode(layout: Layout, name: str) -> list[str]:
    secret = flower.secret_of(layout, name)
    address = f"{HOST}:{layout.ports[flower.supernode(name)]}"
    return ["--supernode", address, "--supernode-secret", str(secret)] if secret.exists() else []


def _has_met(layout: Layout, name: str) -> bool:
    try:
        return not ask_own(layout.of(name), "/standing")["unmet"]
    except NodeUnavailable:
        return False


def _train(layout: Layout, wanted: Wanted, say: Say) -> None:
    """The operator's process, or one that follows its run at SuperLink; its lines are passed on.

    Raises `TrainingFailed`.
    """
    home, processes = layout.of(OPERATOR), Processes(layout.home)
    if wanted.superlink:
        flower.start(layout, say)
        nodes = " ".join(f"{name}={layout.url(name)}" for name in layout.nodes)
        config: dict[str, str | int] = {
            "home": str(home.resolve()),
            "nodes": nodes,
            "folds": wanted.folds,
            "seed": wanted.seed,
        }
        command = flower.run_command(layout, config | {"cut-off": wanted.cut_off})
        environment = flower.environment(layout)
    else:
        command, environment = tanxin(
            "operator", "train", "--home", str(home), "--cut-off", str(wanted.cut_off),
            "--folds", str(wanted.folds), "--seed", str(wanted.seed), *layout.urls("--node"),
        ), {}  # fmt: skip
    say("the operator trains, protected, over the nodes")
    log = processes.log(OPERATOR)
    # What a run that was broken off wrote was told then.
    told = log.stat().st_size if log.exists() else 0
    running, last = processes.start(OPERATOR, command, environment), ""
    with log.open("r", encoding="utf-8", errors="replace") as lines:
        lines.seek(told)
        while running.runs or last:
            last = lines.readline()
            if last:
                say(f"  {last.strip()}")
            else:
                time.sleep(ROUND_S)
    if not ModelRegistry(home).manifests():
        raise TrainingFailed(f"nothing was registered: {last_line(processes.log(OPERATOR))}")
    processes.stop(OPERATOR)


def _decide(layout: Layout, version: str, say: Say) -> None:
    """All banks approve, one nominates and another appoints, each at its own node; then every node knows.

    Raises `TrainingFailed` where a node was not told.
    """
    for name in layout.nodes:
        if version not in ask_own(layout.of(name), "/standing")["versions"]:
            home, node = str(layout.of(OPERATOR)), f"{name}={layout.url(name)}"
            _tanxin("operator", "hand-over", version, "--home", home, "--node", node)
    decision = {"version": version, "note": "a local network"}
    for bank in BANKS:
        if ask_own(layout.of(bank), "/standing")["versions"][version] != "approved":
            _all_told(ask_own(layout.of(bank), "/decide", decision | {"act": "approve"}))
    for bank in BANKS[:2]:
        if ask_own(layout.of(bank), "/standing")["champion"] != version:
            _all_told(ask_own(layout.of(bank), "/decide", decision | {"act": "appoint"}))
    say(f"all banks approved {version}, and two appointed it")


def _all_told(told: Mapping[str, Any]) -> None:
    for name, why in told["not_told"].items():
        raise TrainingFailed(f"{name} was not told that {told['by']} decided: {why}")


def _tanxin(*arguments: str) -> None:
    done = subprocess.run(tanxin(*arguments), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TrainingFailed(f"tanxin {' '.join(arguments[:3])}: {done.stderr.strip() or done.stdout.strip()}")


def first_score(layout: Layout) -> tuple[str, dict[str, Any], float]:
    """A customer of the first bank whose consent opens electricity data, its score, and the seconds that took; any
    customer where the version uses no electricity data.

    Raises `NodeUnavailable` without such a customer.
    """
    home = layout.of(BANKS[0])
    for subject in ask_own(home, "/customers")["subjects"]:
        question = {"subject": subject, "consent": f"CONS-{subject}", "purpose": "credit_application"}
        began = time.perf_counter()
        try:
            answer = ask_own(home, "/score", question)
        except (QueryBudgetSpent, ConsentMissing):
            continue
        seconds = time.perf_counter() - began
        if answer.get("electricity") in ("included", "not_used"):
            return subject, answer, seconds
    raise NodeUnavailable(f"{BANKS[0]} has no customer whose electricity data a consent opens", node=BANKS[0])


def as_json(found: object) -> str:
    """For `--json`."""
    return json.dumps(found, indent=1, ensure_ascii=False, default=str) + "\n"
