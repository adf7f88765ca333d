"""Oversight of one model: its governance, its score log, and the reports that need both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from federated.consent.record import utc
from federated.errors import ModelNotFound, NotPermitted
from federated.governance.cards.card import Card, model_card
from federated.governance.lifecycle import Lifecycle
from federated.governance.manifest import Manifest
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.governance.monitoring.drift import Drift
from federated.governance.monitoring.fairness import GroupFairness, fairness
from federated.governance.monitoring.score_log import ScoreLog, Shadow
from federated.governance.versions import Governance
from federated.words import Language

MONITORED = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What the scores from `since` to `until` show of the champion, and of its challenger where there is one."""

    champion: str
    since: datetime
    until: datetime
    drift: dict[str, Drift] = field(default_factory=dict)
    challenger: str | None = None
    shadow: Shadow | None = None


class Oversight:
    """Governance and score log under one home. Safe to call from several threads."""

    def __init__(self, home: Path, registry: ModelRegistry, model: str = MODEL_NAME) -> None:
        self.model = model
        self.governance = Governance(home, registry, model)
        self.scores = ScoreLog(home / "registry" / model / "scores.db")

    def close(self) -> None:
        """Close the score log."""
        self.scores.close()

    def lifecycle(self) -> Lifecycle:
        """The standing of all versions. Raises `ModelCorrupt`."""
        return self.governance.lifecycle()

    def manifests(self) -> list[Manifest]:
        """Manifests of all registered versions, oldest first. Raises `ModelCorrupt`."""
        return [self.governance.manifest(version) for version in self.lifecycle().versions]

    def appointed(self) -> Manifest:
        """The champion's manifest, also after its approval lapsed. Raises `ModelNotFound`, `ModelCorrupt`."""
        champion = self.lifecycle().champion
        if champion is None:
            raise ModelNotFound(f"no champion of {self.model} was appointed", model=self.model)
        return self.governance.manifest(champion)

    def monitoring(self, at: datetime) -> Monitoring:
        """The last `MONITORED` days, also of a champion whose approval has lapsed.

        Raises `ModelNotFound` if none was appointed, `ModelCorrupt`.
        """
        manifest, standing, until = self.appointed(), self.lifecycle(), utc(at)
        since = until - MONITORED
        drift = self.scores.drift(manifest.version, manifest.score_reference, since)
        if standing.challenger is None:
            return Monitoring(manifest.version, since, until, drift)
        shadow = self.scores.shadow(manifest.version, standing.challenger, manifest.cut_off, since)
        return Monitoring(manifest.version, since, until, drift, standing.challenger, shadow)

    def card(self, version: str, language: Language, at: datetime) -> Card:
        """A version's model card as of `at`. Raises `VersionNotFound`, `ModelCorrupt`."""
        manifest, standing = self.governance.manifest(version), self.lifecycle()
        drift = self.scores.drift(version, manifest.score_reference, utc(at) - MONITORED)
        return model_card(manifest, standing, at, language, drift)

    def fairness(self, version: str) -> tuple[GroupFairness, ...]:
        """A version's groups beside each other. Raises `VersionNotFound`, `ModelCorrupt`."""
        return fairness(self.governance.manifest(version).segments)

    def require_participant(self, version: str, organisation_id: str) -> None:
        """Raise `NotPermitted` unless this organisation took part in training the version; `VersionNotFound`."""
        if organisation_id not in self.governance.manifest(version).participants:
            raise NotPermitted(f"only participants of {version} decide about it", version=version)
