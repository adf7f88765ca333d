"""Flower's deployment engine in a local network: a SuperLink at the operator, and a SuperNode beside each node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import CURVE, Party, request
from federated.channel.key_file import made, written
from federated.errors import NodeUnavailable, TrainingFailed
from simulations.local_network.layout import HOST, OPERATOR, SUPERLINK, Layout
from simulations.local_network.processes import Processes, last_line

SUPERNODE = "supernode"
# How a connection is called in Flower's own configuration, and how long a SuperLink may take to answer.
CONNECTION, ANSWERS_S = "local", 60.0
POLL_S = "0.1"
APP = """[project]
name = "tanxin-training"
version = "1.0.0"
description = "Says that a run begins; its messages pass by the node channel"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "tanxin"

[tool.flwr.app.components]
serverapp = "federated.operating.flower_app:server_app"
clientapp = "federated.operating.flower_app:client_app"

[tool.flwr.app.config]
home = ""
nodes = ""
folds = 1
seed = 2024
cut-off = 530
"""


def programs() -> Path:
    """Where Flower's programs lie."""
    return Path(sys.executable).parent


def supernode(node: str) -> str:
    """How the process of a node's SuperNode is called."""
    return f"{SUPERNODE}-{node}"


def secret_of(layout: Layout, node: str) -> Path:
    """What a node takes tasks of its SuperNode with."""
    return layout.of(node) / SUPERNODE / "secret"


def prepare(layout: Layout, passphrase: str, at: datetime) -> None:
    """Keys, certificate and configuration, each in its party's own home. Safe to run again."""
    folder = layout.of(OPERATOR) / SUPERLINK
    if not (folder / "certificate.pem").exists():
        key = ec.generate_private_key(CURVE())
        addresses = sorted({HOST, layout.hosts[SUPERLINK]})
        asked = request(Party("operator", SUPERLINK), addresses, key).public_bytes(Encoding.PEM)
        pem = NetworkAuthority(layout.home / "ca").certify(asked, passphrase, at, new_key=True)
        # Flower reads no sealed key: the file is its owner's alone.
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        written(folder / "key.pem", plain)
        written(folder / "trust.pem", NetworkAuthority(layout.home / "ca").trust_pem)
        written(folder / "certificate.pem", pem.public_bytes(Encoding.PEM))
        written(folder / "app" / "pyproject.toml", APP.encode())
        connection = f'[superlink.{CONNECTION}]\naddress = "{layout.address(SUPERLINK)}"\n'
        trusted = f'root-certificates = "{(folder / "trust.pem").resolve()}"\n'
        written(folder / "flower" / "config.toml", (connection + trusted).encode())
    for node in layout.nodes:
        own = layout.of(node) / SUPERNODE
        if not (own / "key.pub").exists():
            private = ec.generate_private_key(ec.SECP384R1())
            written(own / "key", private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            made(own / "secret")
            written(own / "trust.pem", NetworkAuthority(layout.home / "ca").trust_pem)
            written(own / "key.pub", private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


def start(layout: Layout, say: Callable[[str], None]) -> None:
    """A SuperLink that knows the keys of all SuperNodes, and these. Raises `NodeUnavailable`."""
    processes, folder = Processes(layout.home), layout.of(OPERATOR) / SUPERLINK
    processes.start(
        SUPERLINK,
        [
            str(programs() / "flower-superlink"), "--ssl-certfile", str(folder / "certificate.pem"),
            "--ssl-keyfile", str(folder / "key.pem"), "--ssl-ca-certfile", str(folder / "trust.pem"),
            "--enable-supernode-auth", "--disable-runtime-dependency-installation",
            "--host", layout.hosts[SUPERLINK], "--port", str(layout.ports[SUPERLINK]),
            "--database", str(folder / "superlink.db"),
        ],
        environment(layout),
    )  # fmt: skip
    fresh = [] if _knows_supernodes(layout, processes) else list(layout.nodes)
    keys = [str(layout.of(node) / SUPERNODE / "key.pub") for node in fresh]
    if keys:
        _flwr(layout, *(["supernode", "register", key, CONNECTION] for key in keys))
    for node in layout.nodes:
        _start_supernode(layout, processes, node)
    say("a SuperLink, and a SuperNode beside each node")


def _start_supernode(layout: Layout, processes: Processes, node: str) -> None:
    own = layout.of(node) / SUPERNODE
    command = [
        str(programs() / "flower-supernode"), "--root-certificates", str(own / "trust.pem"),
        "--superlink", layout.address(SUPERLINK), "--auth-supernode-private-key", str(own / "key"),
        "--isolation", "process", "--superexec-auth-secret-file", str(own / "secret"),
        "--host", HOST, "--port", str(layout.ports[supernode(node)]),
    ]  # fmt: skip
    own_home = {"FLWR_HOME": str(own / "flower")}
    processes.start(supernode(node), layout.within(node, command), environment(layout) | own_home)


def environment(layout: Layout) -> dict[str, str]:
    """What Flower's programs are told."""
    return {
        # They start each other by name.
        "PATH": f"{programs()}{os.pathsep}{os.environ.get('PATH', '')}",
        "FLWR_HOME": str(layout.of(OPERATOR) / SUPERLINK / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": POLL_S,
    }


def run_command(layout: Layout, config: Mapping[str, str | int]) -> list[str]:
    """What begins a run at the SuperLink and follows it, with this configuration of the run."""
    given = " ".join(f"{name}={json.dumps(value)}" for name, value in config.items())
    app = layout.of(OPERATOR) / SUPERLINK / "app"
    return [str(programs() / "flwr"), "run", str(app), CONNECTION, "--stream", "--run-config", given]


def _knows_supernodes(layout: Layout, processes: Processes) -> bool:
    """Whether SuperLink has SuperNodes registered; asked until it answers. Raises `NodeUnavailable`."""
    until = time.monotonic() + ANSWERS_S
    while True:
        told = _flwr(layout, ["supernode", "list", CONNECTION, "--format", "json"])
        if '"success": true' in told:
            return '"node-id"' in told
        if processes.running(SUPERLINK) is None or time.monotonic() > until:
            raise NodeUnavailable(f"SuperLink does not answer: {last_line(processes.log(SUPERLINK))}")
        time.sleep(0.5)


# Flower's command line takes seconds to load, and says by its exit what went wrong.
MANY = """
import json, sys
from flwr.cli.app import app
for words in json.load(sys.stdin):
    app(words, standalone_mode=False)
"""


def _flwr(layout: Layout, *commands: list[str]) -> str:
    """What Flower's command line says to these commands, in one process. Raises `TrainingFailed`."""
    done = subprocess.run(
        [sys.executable, "-c", MANY], input=json.dumps(commands), capture_output=True, text=True, check=False,
        env=os.environ | environment(layout),
    )  # fmt: skip
    if done.returncode != 0 and '"success"' not in done.stdout:
        raise TrainingFailed(f"flwr {' '.join(commands[0][:2])}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout
