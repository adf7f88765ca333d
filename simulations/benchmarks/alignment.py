"""Private set intersection: ids a second and core, ours beside openmined-psi's C++ in an environment of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from federated.alignment import psi

# What the other side runs: both roles, in memory, exact set, as its own example does.
PEER = """
import json, sys, time
import private_set_intersection.python as psi
n = int(sys.argv[1])
ours, theirs = ([f"TW-{i:07d}" for i in range(start, start + n)] for start in (0, n // 2))
wall, cpu = time.perf_counter(), time.process_time()
client, server = psi.client.CreateWithNewKey(True), psi.server.CreateWithNewKey(True)
setup = server.CreateSetupMessage(0.0, n, theirs, psi.DataStructure.RAW)
request = client.CreateRequest(ours)
response = server.ProcessRequest(request)
common = client.GetIntersection(setup, response)
print(json.dumps({
    "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "common": len(common),
    "bytes": len(setup.SerializeToString()) + len(request.SerializeToString()) + len(response.SerializeToString()),
}))
"""


@dataclass(frozen=True, slots=True)
class AlignmentSpeed:
    """Both sides' work together. `ids_per_core_s` is ids a side over CPU seconds; bytes are those sent by one side.

    `peer_…` are None where openmined-psi could not be installed.
    """

    ids: int
    common: int
    wall_s: float
    ids_per_core_s: float
    bytes_an_id_each_way: float
    peer_ids_per_core_s: float | None
    peer_bytes_an_id_both_ways: float | None
    over_peer: float | None


def measure_alignment(ids: int, peer_home: Path | None) -> AlignmentSpeed:
    """Align `ids` with `ids`, half of them common. `peer_home` is where openmined-psi's environment is kept or made."""
    bank, grid = ([f"TW-{i:07d}" for i in range(start, start + ids)] for start in (0, ids // 2))
    # Sixty-four bytes a subject stand for its signature: what is timed is the exchange, not the checking of consents.
    of_all = {subject: psi.element(subject, hashlib.sha512(subject.encode()).digest()) for subject in {*bank, *grid}}
    wall, cpu = time.perf_counter(), time.process_time()
    of_bank, of_grid = psi.new_secret(), psi.new_secret()
    bank_points, grid_points = (
        psi.blind(secret, [of_all[subject] for subject in side]) for secret, side in ((of_bank, bank), (of_grid, grid))
    )
    bank_tags, grid_tags = psi.double_blind(of_grid, bank_points), psi.double_blind(of_bank, grid_points)
    common = psi.common_tags(bank_tags, grid_tags)
    mine, theirs = psi.own_rows(bank, bank_tags, common), psi.own_rows(grid, grid_tags, common)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if mine != theirs or set(mine) != set(bank) & set(grid):
        raise ArithmeticError("the intersection is not exact")
    peer = None if peer_home is None else _peer(ids, peer_home)
    speed = ids / cpu
    return AlignmentSpeed(
        ids=ids,
        common=len(common),
        wall_s=wall,
        ids_per_core_s=speed,
        bytes_an_id_each_way=(len(bank_points) + len(grid_tags)) / ids,
        peer_ids_per_core_s=None if peer is None else ids / peer["cpu_s"],
        peer_bytes_an_id_both_ways=None if peer is None else peer["bytes"] / ids,
        over_peer=None if peer is None else speed * peer["cpu_s"] / ids,
    )


def _peer(ids: int, home: Path) -> dict[str, float] | None:
    """Run the peer in its own environment, made at first use; None if it cannot be installed."""
    python = home / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(home)], check=False, capture_output=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "openmined-psi"]
        if made.returncode or subprocess.run(install, check=False, capture_output=True).returncode:
            return None
    done = subprocess.run([str(python), "-c", PEER, str(ids)], check=False, capture_output=True, text=True)
    if done.returncode:
        return None
    measured: dict[str, float] = json.loads(done.stdout)
    if measured["common"] != ids - ids // 2:
        raise ArithmeticError("the peer's intersection is not exact")
    return measured
