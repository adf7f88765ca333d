"""What an operator keeps of a run while it goes on, and what it registers of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from federated.consent.record import Purpose
from federated.errors import TrainingFailed
from federated.governance.manifest import Explanation, Manifest
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.governance.versions import Governance
from federated.models.served.metrics import Metrics
from federated.protocols.core.alignment import Alignment, AlignmentStep, Participants
from federated.protocols.core.candidates import JOINT, pooled
from federated.protocols.core.protocol import COMPANION, VerticalProtocol
from federated.protocols.operator_app import Figures, FoldReports, Observers, Refits, RunPlan


@dataclass(frozen=True, slots=True)
class ModelFold:
    """Held-out metrics of one model on one fold, with seconds; messages and payload bytes for federated ones."""

    metrics: Metrics
    seconds: float
    exchanges: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where progress goes: one line of text, the loss of each round, and each step of the alignment."""

    say: Callable[[str], None]
    round: Callable[[int, str, int, float | None], None]
    aligning: Callable[[AlignmentStep], None] = lambda _: None


@dataclass(slots=True)
class RunRecord:
    """What a run measured, fold by fold, and the manifests that were registered of it.

    `models` may have more than the run trained: what stands beside it in the manifests.
    """

    plan: RunPlan
    seed: int
    at: datetime
    participants: Participants | None = None
    alignment: Alignment | None = None
    models: dict[str, list[ModelFold]] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    companions: dict[str, str] = field(default_factory=dict)
    refits: Refits = field(default_factory=dict)
    manifests: list[Manifest] = field(default_factory=list)

    @property
    def folds(self) -> tuple[int, ...]:
        """Which folds were held out, one after the other."""
        return self.plan.folds

    def observers(self, reporter: Reporter, beside: Callable[[int], None] = lambda _: None) -> Observers:
        """What the operator's app reports to; `beside` measures others on a fold that was held out."""

        def aligned(people: Participants, alignment: Alignment) -> None:
            self.participants, self.alignment = people, alignment
            reporter.say(f"aligned {sum(alignment.rows.values()):,} customers in {alignment.seconds:.1f} s")

        def fold(number: int, reports: FoldReports) -> None:
            for protocol, report in reports.items():
                self.companions[protocol] = report.companion
                for name, held_out in report.held_out.items():
                    cost = report.cost[name]
                    part = ModelFold(held_out.measured([]).metrics, cost.seconds, cost.exchanges, cost.bytes)
                    self.models.setdefault(name, []).append(part)
            beside(number)
            shown = ", ".join(f"{name} {parts[-1].metrics.auc:.4f}" for name, parts in self.models.items())
            reporter.say(f"fold {number}: held-out AUC {shown}")

        def measured(found: Figures) -> None:
            self.figures = found
            for folds in found.values():
                for name in folds[0]:
                    parts = zip(self.models[name], folds, strict=True)
                    self.models[name] = [replace(part, metrics=fold[name].metrics) for part, fold in parts]

        def refit(found: Refits) -> None:
            self.refits = found
            reporter.say("fitted again with nobody held out, for the registry")

        return Observers(
            aligned=aligned,
            fold=fold,
            measured=measured,
            refit=refit,
            progress=lambda number: lambda phase, step, loss: reporter.round(number, phase, step, loss),
            aligning=reporter.aligning,
        )

    def register(self, home: Path, by: str) -> None:
        """Register what was fitted with nobody held out, in the register under `home`. Raises `TrainingFailed`."""
        if not self.refits:
            raise TrainingFailed("the run ended before its models were fitted, nothing is registered")
        registry = ModelRegistry(home)
        governance = Governance(home, registry)
        for protocol in self.plan.protocols:
            for name, candidate in self.refits[protocol.name].candidates.items():
                manifest = _manifest(self, protocol, name, registry.next_version(), by)
                published = registry.publish(manifest, candidate.model)
                governance.register(published, self.at)
                self.manifests.append(published)


def _manifest(run: RunRecord, protocol: VerticalProtocol, name: str, version: str, by: str) -> Manifest:
    people, alignment = run.participants, run.alignment
    if people is None or alignment is None:
        raise TrainingFailed("the run ended before its participants were aligned, nothing is registered")
    refit, companion = run.refits[protocol.name], run.companions[protocol.name]
    candidate = refit.candidates[name]
    served = name if candidate.offered == JOINT else companion
    own, alone = (pooled([fold[each] for fold in run.figures[protocol.name]]) for each in (served, companion))
    # Within a manifest `federated` is the version itself, and `bank_only` its own companion.
    beside = {"federated": served, COMPANION: companion} | {
        other: other for other in run.models if other not in _trained(run)
    }
    shown = {title: run.models[source] for title, source in beside.items()}
    model = candidate.model
    parties = {"bank": people.schema.bank, "grid": people.schema.grid}
    return Manifest(
        model=MODEL_NAME,
        version=version,
        created_at=run.at,
        registered_by=by,
        data_origin=people.data_origin,
        schema_id=people.schema.schema_id,
        schema_version=people.schema.version,
        purpose=Purpose.MODEL_TRAINING,
        participants=(*people.banks, *people.grids),
        data_sha256=people.data_sha256,
        learners=candidate.learners,
        explanation=Explanation.EXACT if candidate.exact else Explanation.SAMPLED,
        columns={role: tuple(p.columns[j] for j in p.lending) for role, p in parties.items()},
        excluded_columns={role: tuple(f.column for f in p.features if f.protected) for role, p in parties.items()},
        config=json.loads(json.dumps(protocol.config())) | {"offered": candidate.offered},
        seed=run.seed,
        held_out_folds=run.folds,
        refit=True,
        aligned_rows=alignment.rows,
        metrics={title: figures(parts) for title, parts in shown.items()},
        calibration={"method": model.joint.method, "own": sorted(model.own), "ece": own.ece},
        cut_off=run.plan.cut_off,
        segments=own.segments,
        score_reference={"joint": own.score_bands, "bank_only": alone.score_bands},
        feature_reference=refit.references,
        privacy=protocol.privacy,
        privacy_spent=dict.fromkeys((*people.banks, *people.grids)),
    )


def _trained(run: RunRecord) -> frozenset[str]:
    """Models that the run trained itself."""
    return frozenset(name for folds in run.figures.values() for name in folds[0])


def figures(parts: list[ModelFold]) -> dict[str, float]:
    """Means over folds of the metrics, their standard deviations (n − 1) if there are several folds, and mean cost."""
    out: dict[str, float] = {}
    for name in ("auc", "ks", "brier", "ece"):
        values = [float(getattr(part.metrics, name)) for part in parts]
        out[name] = float(np.mean(values))
        if len(values) > 1:
            out[f"{name}_sd"] = float(np.std(values, ddof=1))
    out["rows"] = sum(part.metrics.rows for part in parts)
    out["seconds"] = float(np.mean([part.seconds for part in parts]))
    if any(part.exchanges for part in parts):
        out["exchanges"] = float(np.mean([part.exchanges for part in parts]))
        out["bytes"] = float(np.mean([part.bytes for part in parts]))
    return out
