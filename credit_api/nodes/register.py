"""A party's own register of versions: an operator hands versions over to nodes, an exchange has them from banks' nodes,
and banks tell what they decided about them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from credit_api.nodes.messages import ActName, Decided, Decisions, Version
from credit_api.nodes.proof import evidence, signed
from federated.channel.node_keys import NodeKeys
from federated.errors import FederatedError, ModelCorrupt, ModelInUse, ModelNotFound, NotPermitted, VersionNotFound
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Kind, Role
from federated.governance.manifest import Manifest
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.governance.versions import Governance

# How many refused decisions of one telling are looked at.
MOST_REFUSED = 300


class Register:
    """What `home` has of the network's register. Every event has this node's own time."""

    def __init__(
        self,
        home: Path,
        governance: Governance,
        now: Callable[[], datetime],
        own: str,
        met: Callable[[], set[str]],
        keys: NodeKeys,
    ) -> None:
        """`own` is the party, `met` the nodes that it has met; `keys` know who signed what."""
        self._registry, self._governance, self._now = ModelRegistry(home), governance, now
        self._own, self._met, self._keys = own, met, keys

    def _members(self) -> set[str]:
        return self._met() | {self._own}

    def take(self, told: Version, operator: str) -> None:
        """Register a version that an operator hands over; the same one again changes nothing.

        Raises `NotPermitted` for one that it did not register itself, or that names other participants than this node
        and those that it has met, `ModelExists`, `ModelCorrupt`.
        """
        manifest = self._registry.read(told.manifest, told.weights)
        if manifest.registered_by != operator:
            raise NotPermitted(f"{manifest.version} was registered by {manifest.registered_by}, not by {operator}")
        strange = sorted(set(manifest.participants) - self._members())
        if strange or self._own not in manifest.participants:
            raise NotPermitted(f"{manifest.version} is of other participants than this node knows: {strange}")
        self._enter(told, manifest)

    def copy(self, told: Version) -> None:
        """Register a version that banks' nodes tell alike, as a party that takes no part in training.

        Raises `NotPermitted` for one of banks that this party does not know: it would never hear what they decide,
        `ModelExists`, `ModelCorrupt`.
        """
        manifest = self._registry.read(told.manifest, told.weights)
        strange = sorted(manifest.banks - self._met())
        if strange:
            raise NotPermitted(f"{manifest.version} is of other banks than this party knows: {strange}")
        self._enter(told, manifest)

    def _enter(self, told: Version, manifest: Manifest) -> None:
        self._registry.take(told.manifest, told.weights)
        if manifest.version not in self._governance.lifecycle().versions:
            self._governance.register(manifest, self._now())

    def version(self, version: str) -> Version:
        """A version as it lies here. Raises `VersionNotFound`, `ModelCorrupt`."""
        if version not in self._governance.lifecycle().versions:
            raise VersionNotFound(f"no version {version} is registered here", version=version)
        manifest, weights = self._registry.files(MODEL_NAME, version)
        return Version(manifest=manifest, weights=weights)

    def decide(self, told: Decided, bank: str) -> Event:
        """Enter what a bank decided; the same decision again finds its event.

        Raises `ModelCorrupt` where the bank had another version of this name before it, `ChannelRefused` for what it
        did not sign, and what `Governance` raises.
        """
        governance = self._governance
        if bank not in governance.manifest(told.version).banks:
            raise NotPermitted(f"only the banks of {told.version} decide about it", version=told.version)
        if self.sha256(told.version) != told.manifest_sha256:
            raise ModelCorrupt(f"{bank} decided about another {told.version}", version=told.version)
        now = self._now()
        act = Act(bank, now, told.note, told.command, evidence(self._keys, bank, told, now))
        known = [e for e in governance.lifecycle().events if (e.command, e.by) == (told.command, bank)]
        if known and told.act != "roll_back" and known[0].version != told.version:
            raise NotPermitted(f"{bank} decided something else under this id")
        if told.act == "appoint":
            return governance.appoint(told.version, Role.CHAMPION, act)
        if told.act == "roll_back":
            if not known and governance.lifecycle().champion != told.version:
                raise ModelInUse(f"{told.version} does not score here: nothing is rolled back", version=told.version)
            return governance.roll_back(act)
        decided: dict[str, Callable[[str, Act], Event]] = {
            "approve": governance.approve, "reject": governance.reject, "retire": governance.retire,
        }  # fmt: skip
        return decided[told.act](told.version, act)

    def signed(self, told: Decided) -> Decided:
        """A decision of this party, signed. Raises `ChannelRefused`."""
        return signed(self._keys, self._own, told)

    def decisions_of(self, bank: str) -> Decisions:
        """What this bank, whose node this is, decided here, for nodes that were away; signed anew, as a certificate is
        over in a month. Raises `ModelCorrupt`, `ChannelRefused`."""
        acts: dict[Kind, ActName] = {
            Kind.ENDORSED: "approve", Kind.APPROVED: "approve", Kind.REJECTED: "reject", Kind.NOMINATED: "appoint",
            Kind.APPOINTED: "appoint", Kind.RETIRED: "retire", Kind.ROLLED_BACK: "roll_back",
        }  # fmt: skip
        events = [e for e in self._governance.lifecycle().events if e.by == bank and e.kind in acts and e.command]
        # A roll-back names what it leaves.
        named = [e.details["left"] if e.kind is Kind.ROLLED_BACK else e.version for e in events]
        hashes = {version: self.sha256(version) for version in set(named)}
        told = (
            Decided(version=version, manifest_sha256=hashes[version], act=acts[e.kind], note=e.note, command=e.command)
            for e, version in zip(events, named, strict=True)
        )
        return Decisions(decided=[self.signed(each) for each in told])

    def catch_up(self, told: Decisions, bank: str) -> int:
        """Enter what a bank decided while this node was away; how many decisions were new.

        About a version that is not here yet they wait, for the next time; what is refused for good is left out: a
        version may have been turned down here before its approval came. Who tells of hundreds of those is not listened
        to any further: a signature of each has to be looked at.
        """
        lifecycle, waiting = self._governance.lifecycle(), set[str]()
        known, entered, refused = {(e.command, e.by) for e in lifecycle.events}, 0, 0
        for each in told.decided:
            if each.version not in lifecycle.versions or each.version in waiting or (each.command, bank) in known:
                continue
            try:
                self.decide(each, bank)
                entered += 1
            except (VersionNotFound, ModelNotFound):
                waiting.add(each.version)
            except FederatedError:
                refused += 1
            if refused > MOST_REFUSED:
                break
        return entered

    def sha256(self, version: str) -> str:
        """Hash of a version's manifest, hex. Raises as `ModelRegistry.load`."""
        return hashlib.sha256(self._registry.manifest_file(MODEL_NAME, version)).hexdigest()
