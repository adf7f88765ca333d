"""A node's own register of versions: an operator hands versions over, and banks tell what they decided about them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from credit_api.nodes.messages import ActName, Decided, Decisions, Version
from federated.errors import FederatedError, ModelCorrupt, NotPermitted
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Kind, Role
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.governance.oversight import Oversight


class Register:
    """What `home` has of the network's register. Every event has this node's own time."""

    def __init__(self, home: Path, oversight: Oversight, now: Callable[[], datetime]) -> None:
        self._registry, self._governance, self._now = ModelRegistry(home), oversight.governance, now

    def take(self, told: Version, operator: str) -> None:
        """Register a version that an operator hands over; the same one again changes nothing.

        Raises `NotPermitted` for one that it did not register itself, `ModelExists`, `ModelCorrupt`.
        """
        manifest = self._registry.take(told.manifest, told.weights)
        if manifest.registered_by != operator:
            raise NotPermitted(f"{manifest.version} was registered by {manifest.registered_by}, not by {operator}")
        if manifest.version not in self._governance.lifecycle().versions:
            self._governance.register(manifest, self._now())

    def decide(self, told: Decided, bank: str) -> Event:
        """Enter what a bank decided; the same decision again finds its event.

        Raises `ModelCorrupt` where the bank had another version of this name before it, and what `Governance` raises.
        """
        governance = self._governance
        governance.manifest(told.version)
        if self.sha256(told.version) != told.manifest_sha256:
            raise ModelCorrupt(f"{bank} decided about another {told.version}", version=told.version)
        act = Act(bank, self._now(), told.note, told.command)
        if told.act == "appoint":
            return governance.appoint(told.version, Role.CHAMPION, act)
        if told.act == "roll_back":
            return governance.roll_back(act)
        decided: dict[str, Callable[[str, Act], Event]] = {
            "approve": governance.approve, "reject": governance.reject, "retire": governance.retire,
        }  # fmt: skip
        return decided[told.act](told.version, act)

    def decisions_of(self, bank: str) -> Decisions:
        """What this bank decided here, for nodes that were away. Raises `ModelCorrupt`."""
        acts: dict[Kind, ActName] = {
            Kind.ENDORSED: "approve", Kind.APPROVED: "approve", Kind.REJECTED: "reject", Kind.NOMINATED: "appoint",
            Kind.APPOINTED: "appoint", Kind.RETIRED: "retire", Kind.ROLLED_BACK: "roll_back",
        }  # fmt: skip
        own = [
            Decided(version=e.version, manifest_sha256=self.sha256(e.version), act=acts[e.kind], note=e.note,
                    command=e.command)
            for e in self._governance.lifecycle().events
            if e.by == bank and e.kind in acts and e.command
        ]  # fmt: skip
        return Decisions(decided=own)

    def catch_up(self, told: Decisions, bank: str) -> int:
        """Enter what a bank decided while this node was away; how many decisions were new.

        One that cannot be entered yet waits, with those after it, for the next time.
        """
        known = {(e.command, e.by) for e in self._governance.lifecycle().events}
        new = [each for each in told.decided if (each.command, bank) not in known]
        for number, each in enumerate(new):
            try:
                self.decide(each, bank)
            except FederatedError:
                return number
        return len(new)

    def sha256(self, version: str) -> str:
        """Hash of a version's manifest, hex. Raises as `ModelRegistry.load`."""
        return hashlib.sha256(self._registry.files(MODEL_NAME, version)[0]).hexdigest()
