"""Folds that an operator measured, kept until their run is registered: one that was broken off measures the others.

What is kept is what the operator read anyway (`protected.evaluation.Counted`): logits by row without names, and
counts of defaults by block. It lies in the operator's home, its owner's alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.channel.key_file import written
from federated.protocols.core.alignment import Participants
from federated.protocols.core.cost import Cost
from federated.protocols.core.protocol import FoldReport
from federated.protocols.operator_app import FoldReports, RunPlan
from federated.protocols.protected.candidate import CountedRows
from federated.protocols.protected.evaluation import Counted, Group

FOLDER, META, ABOUT = "run-checkpoint", "about", ("at_us", "data", "reports")
log = logging.getLogger(__name__)
ROWS, OF_GROUP = ("logit", "block", "defaults", "owner", "lower", "scarce"), ("band", "rows", "defaults", "lower")
# After so long a run is measured anew: customers and consents have changed.
KEPT_US = 24 * 3_600 * 1_000_000


class Checkpoint:
    """Of one plan, whenever it began: `at_us` of the plan is that of the run that began it, if one was broken off."""

    def __init__(self, home: Path, plan: RunPlan) -> None:
        told = [list(plan.folds), plan.cut_off, [[p.name, p.config()] for p in plan.protocols]]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
        self._folder = home / FOLDER / digest[:16]

    def began_us(self, now_us: int) -> int | None:
        """When the run began that was broken off (µs since 1970, UTC), if there is one that is not too old."""
        begun = [about["at_us"] for about, _ in self._read().values()]
        return min(begun) if begun and 0 <= now_us - min(begun) < KEPT_US else None

    def measured(self, people: Participants, at_us: int) -> dict[int, FoldReports]:
        """Folds that were measured of the run that began then, over just these data of just these nodes."""
        found = {}
        for fold, (about, arrays) in self._read().items():
            if (about["at_us"], about["data"]) == (at_us, people.data_sha256):
                found[fold] = _reports(about, arrays, people)
        return found

    def keep(self, fold: int, reports: FoldReports, people: Participants, at_us: int) -> None:
        """Keep what a fold gave."""
        arrays: dict[str, NDArray[Any]] = {}
        about: dict[str, Any] = {"at_us": at_us, "data": people.data_sha256, "reports": {}}
        for protocol, report in reports.items():
            models = {}
            for name, rows in report.held_out.items():
                if not isinstance(rows, CountedRows):
                    return
                models[name] = _put(arrays, f"{protocol}/{name}", rows)
            cost = {name: asdict(each) for name, each in report.cost.items()}
            about["reports"][protocol] = {"models": models, "companion": report.companion, "cost": cost}
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, allow_pickle=False, **arrays, **{META: text})
        written(self._folder / f"fold-{fold}.npz", buffer.getvalue())

    def drop(self) -> None:
        """Forget it: the run was registered."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> dict[int, tuple[dict[str, Any], Mapping[str, NDArray[Any]]]]:
        found: dict[int, tuple[dict[str, Any], Mapping[str, NDArray[Any]]]] = {}
        for path in sorted(self._folder.glob("fold-*.npz")):
            try:
                with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                about = json.loads(arrays.pop(META).tobytes())
                found[int(path.stem.partition("-")[2])] = {name: about[name] for name in ABOUT}, arrays
            except Exception:  # of a spoilt archive numpy and zlib raise much more than they say
                log.warning("%s is spoilt: its fold is measured again", path.name, exc_info=True)
        return found


def _put(arrays: dict[str, NDArray[Any]], name: str, rows: CountedRows) -> dict[str, Any]:
    counted = rows.counted
    arrays |= {f"{name}/{part}": getattr(counted, part) for part in ROWS}
    groups = []
    for number, ((segment, of), group) in enumerate(counted.groups.items()):
        arrays |= {f"{name}/{number}/{part}": getattr(group, part) for part in OF_GROUP}
        if group.members is not None:
            arrays[f"{name}/{number}/members"] = group.members
        groups.append([segment, of])
    return {"cut_off": rows.cut_off, "seed": rows.seed, "groups": groups}


def _reports(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], people: Participants) -> FoldReports:
    found = {}
    for protocol, told in about["reports"].items():
        held_out = {
            name: CountedRows(
                _counted(arrays, f"{protocol}/{name}", of["groups"]), people.schema, of["cut_off"], of["seed"]
            )
            for name, of in told["models"].items()
        }
        cost = {name: Cost(**each) for name, each in told["cost"].items()}
        found[protocol] = FoldReport(dict(held_out), told["companion"], cost)
    return found


def _counted(arrays: Mapping[str, NDArray[Any]], name: str, groups: list[list[str]]) -> Counted:
    made = {}
    for number, (segment, of) in enumerate(groups):
        parts = {part: arrays[f"{name}/{number}/{part}"] for part in OF_GROUP}
        made[segment, of] = Group(**parts, members=arrays.get(f"{name}/{number}/members"))
    return Counted(**{part: arrays[f"{name}/{part}"] for part in ROWS}, groups=made)
