"""Reports of training runs: the JSON of one run, and the table in an experiment's README that is made from it."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from federated.nodes.schema import FeatureSchema
from federated.protocols.operator_run import figures
from simulations.experiments.vertical_credit.pipeline import RunResult
from simulations.tables import rewrite_tables

Report = dict[str, Any]
NAMES = {
    "protected": "federated, protected: on shares and secure sums (exact reasons)",
    "protected_bank_only": "federated, protected, banks only (the companion)",
    "federated": "federated, the zoo's blend, unprotected",
    "federated_additive": "federated, the zoo's explainable blend, unprotected (exact reasons)",
    "bank_only": "federated, the zoo, banks only (the companion)",
    "label_holder_only": "XGBoost, bank columns in one place",
    "xgboost": "XGBoost, both parties' columns in one place",
}


def report_of(result: RunResult) -> Report:
    """Plain JSON of a run. Every metric is held-out; `seconds` are wall clock on the hardware named beside them."""
    schema: FeatureSchema = result.tables.schema
    models = {name: figures(result.models[name]) for name in NAMES if name in result.models}
    for name, parts in result.models.items():
        models[name]["auc_folds"] = [part.metrics.auc for part in parts]  # type: ignore[assignment]
    alignment = result.alignment
    return {
        "dataset": schema.schema_id,
        "data_origin": schema.data_origin,
        "subjects": len(result.tables.subjects),
        "seed": result.seed,
        "folds": len(result.folds),
        "protocols": {protocol.name: protocol.config() for protocol in result.plan.protocols},
        "models": models,
        "alignment": {
            "seconds": 0.0 if alignment is None else alignment.seconds,
            "ids": 0 if alignment is None else sum(alignment.rows.values()),
            "pairs": {} if alignment is None else alignment.rows,
        },
        "registered": [manifest.version for manifest in result.manifests],
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def to_json(report: Report) -> str:
    """A report as stable, readable JSON."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cell(model: dict[str, float], name: str) -> str:
    sd = model.get(f"{name}_sd")
    return f"{model[name]:.4f}" if sd is None else f"{model[name]:.4f} ±{sd:.4f}"


def metric_cells(report: Report, name: str) -> list[str]:
    """AUC, KS, Brier, ECE and seconds of one model, as text."""
    model = report["models"][name]
    return [*(_cell(model, metric) for metric in ("auc", "ks", "brier", "ece")), f"{model['seconds']:.1f}"]


def table_of(report: Report) -> str:
    """A Markdown table of one report, headed by what the data is."""
    lines = [
        f"**{report['dataset']}** (data origin: {report['data_origin']}), {report['subjects']:,} subjects, "
        f"{report['alignment']['ids']:,} aligned in {report['alignment']['seconds']:.1f} s, "
        f"{report['folds']} of 5 folds, "
        f"seed {report['seed']}",
        "",
        "| model | AUC | KS | Brier | ECE | s a fold | exchanges | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, title in NAMES.items():
        if name not in report["models"]:
            continue
        model = report["models"][name]
        cells = " | ".join(_cell(model, metric) for metric in ("auc", "ks", "brier", "ece"))
        wire = f"{model['exchanges']:.0f} | {model['bytes'] / 1e6:.0f}" if "exchanges" in model else "– | –"
        lines.append(f"| {title} | {cells} | {model['seconds']:.1f} | {wire} |")
    return "\n".join([*lines, *_paired(report)])


def _paired(report: Report) -> list[str]:
    """Fold-by-fold differences of AUC with their standard error: most of the spread between folds is shared."""
    models = report["models"]
    lines = []
    for ours in (name for name in ("protected", "federated") if name in models):
        folds = models[ours]["auc_folds"]
        if len(folds) < 2:
            continue
        gaps_to = []
        for name in (name for name in NAMES if name in models and name != ours):
            gaps = [a - b for a, b in zip(folds, models[name]["auc_folds"], strict=True)]
            error = stdev(gaps) / len(gaps) ** 0.5
            gaps_to.append(f"{mean(gaps):+.4f} (standard error {error:.4f}) against {name}")
        lines += ["", f"Paired differences of the AUC of {ours} over the folds: {'; '.join(gaps_to)}."]
    return lines


def update_readme(folder: Path) -> str:
    """Rewrite the table in `folder`/README.md from `folder`/reports/*.json; return the new text."""
    return rewrite_tables(folder, lambda reports: [table_of(report) for report in reports])
