"""What may score: versions are registered, approved by the banks concerned, appointed, rolled back, retired.

Manifests and weights are `federated.governance.model_registry`'s; this adds who decided what, in
`<home>/registry/<model>/events.jsonl`. The hash of a version's manifest is recorded when it is registered, so neither
its figures nor its weights can be exchanged afterwards.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from federated.consent.record import utc
from federated.errors import ModelCorrupt, ModelExpired, ModelInUse, ModelNotFound
from federated.governance import decisions
from federated.governance.decisions import Act
from federated.governance.event_log import EventLog, Events
from federated.governance.lifecycle import Event, Kind, Lifecycle, Role, Status, fold
from federated.governance.manifest import Manifest
from federated.governance.model_registry import MODEL_NAME, ModelRegistry


class Governance:
    """Decisions about one model's versions. Safe for several threads and for several processes on one machine."""

    def __init__(self, home: Path, registry: ModelRegistry, model: str = MODEL_NAME) -> None:
        self._folder = home / "registry" / model
        self._registry = registry
        self._model = model
        self._log = EventLog(self._folder / "events.jsonl")
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int], Lifecycle] | None = None
        self._manifests: dict[str, Manifest] = {}

    def lifecycle(self) -> Lifecycle:
        """The standing of all versions; ask it for a status at an instant. Raises `ModelCorrupt`."""
        with self._lock:
            stamp = self._log.stamp()
            if self._known is None or self._known[0] != stamp:
                # The stamp is older than what is read, so a change in between is noticed at the next call.
                self._known = (stamp, fold(self._model, self._log.read()))
            return self._known[1]

    def manifest(self, version: str) -> Manifest:
        """A registered version's manifest, checked against the hash recorded with it.

        Raises `VersionNotFound`, `ModelCorrupt`.
        """
        self.lifecycle().record(version)
        if version not in self._manifests:
            if self.manifest_sha256(version) != self._manifest_sha256(version):
                raise ModelCorrupt(f"{self._model} {version} is not the manifest that was registered", version=version)
            self._manifests[version] = self._registry.manifest(self._model, version)
        return self._manifests[version]

    def manifest_sha256(self, version: str) -> str:
        """SHA-256 (hex) of a version's manifest as it was recorded when the version was registered.

        Raises `VersionNotFound`, `ModelCorrupt`.
        """
        standing = self.lifecycle()
        standing.record(version)
        recorded = next(e for e in standing.events if e.version == version and e.kind is Kind.REGISTERED)
        return recorded.details.get("manifest_sha256", "")

    def champion(self, at: datetime) -> Manifest:
        """The version that scores at `at`. Raises `ModelNotFound` (none appointed), `ModelExpired`, `ModelCorrupt`."""
        standing = self.lifecycle()
        if standing.champion is None:
            raise ModelNotFound(f"no champion of {self._model} was appointed", model=self._model)
        record = standing.record(standing.champion)
        if record.status(utc(at)) is not Status.APPROVED:
            until = record.valid_until.isoformat() if record.valid_until else None
            raise ModelExpired(f"the approval of {record.version} ended", version=record.version, valid_until=until)
        return self.manifest(record.version)

    def challenger(self, at: datetime) -> Manifest | None:
        """The version that scores beside the champion at `at`; None if there is none or its approval has lapsed."""
        standing = self.lifecycle()
        if standing.challenger is None or standing.status(standing.challenger, utc(at)) is not Status.APPROVED:
            return None
        return self.manifest(standing.challenger)

    def register(self, manifest: Manifest, at: datetime) -> Event:
        """Enter a version that the model registry has published, in the name that its manifest gives.

        Raises `ModelExists`, `ModelNotFound`, `ModelCorrupt`, `InvalidTime`.
        """
        version = manifest.version
        self._registry.load(self._model, version)
        hashes = {"manifest_sha256": self._manifest_sha256(version), "weights_sha256": manifest.weights_sha256}
        act = Act(manifest.registered_by, at)
        return self._decide(act, lambda standing: decisions.register(standing, act, version, hashes))

    def approve(self, version: str, act: Act) -> Event:
        """See `decisions.approve`, for all banks of the version's manifest. Raises also `ModelCorrupt`."""
        banks = self.manifest(version).banks
        return self._decide(act, lambda standing: decisions.approve(standing, act, version, banks))

    def reject(self, version: str, act: Act) -> Event:
        """See `decisions.reject`."""
        return self._decide(act, lambda standing: decisions.reject(standing, act, version))

    def appoint(self, version: str, role: Role, act: Act) -> Event:
        """As `decisions.appoint` for the banks of the version and of the present champion, once the version's manifest
        and weights prove to be those registered.

        Raises also `ModelCorrupt`.
        """
        # Read anew: what was checked before may have been exchanged since.
        self._manifests.pop(version, None)
        # A champion displaces another: the banks of both are concerned.
        present = self.lifecycle().champion
        banks = self.manifest(version).banks | (self.manifest(present).banks if present else frozenset())
        self._registry.load(self._model, version)

        def rule(standing: Lifecycle) -> Event:
            if standing.champion != present:
                raise ModelInUse("another champion was appointed meanwhile: look again", version=standing.champion)
            return decisions.appoint(standing, act, version, role, banks)

        return self._decide(act, rule)

    def withdraw_challenger(self, version: str, act: Act) -> Event:
        """See `decisions.withdraw_challenger`."""
        return self._decide(act, lambda standing: decisions.withdraw_challenger(standing, act, version))

    def roll_back(self, act: Act) -> Event:
        """See `decisions.roll_back`."""
        return self._decide(act, lambda standing: decisions.roll_back(standing, act))

    def retire(self, version: str, act: Act) -> Event:
        """See `decisions.retire`."""
        return self._decide(act, lambda standing: decisions.retire(standing, act, version))

    def _decide(self, act: Act, rule: Callable[[Lifecycle], Event]) -> Event:
        """Run a rule on the standing inside the log's lock; a request that was obeyed already finds its event."""

        def decide(events: Events) -> Event:
            known = [e for e in events if act.command and (e.command, e.by) == (act.command, act.by)]
            return known[0] if known else rule(fold(self._model, events))

        return self._log.append(decide)

    def _manifest_sha256(self, version: str) -> str:
        try:
            return hashlib.sha256((self._folder / version / "manifest.json").read_bytes()).hexdigest()
        except OSError as error:
            raise ModelCorrupt(f"manifest of {self._model} {version} cannot be read: {error}") from error
