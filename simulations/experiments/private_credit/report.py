"""The experiment's report as JSON, its table as Markdown, and its picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from simulations.drawing import pyplot, saved
from simulations.experiments.private_credit.attacks import canaries, shadows
from simulations.experiments.private_credit.run import DELTA, PrivateFold, measured
from simulations.experiments.private_credit.world import BANKS, PrivateTable, folds_of, load_table
from simulations.tables import rewrite_tables

Json = dict[str, Any]
Say = Callable[[str], None]
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0, math.inf)
SEED = 2024
# Mechanism, whether it reads the protected columns, and how often a fold is run: noise differs every time.
VARIANTS = (("additive", True, 3), ("additive", False, 3), ("network", True, 1))


def run_experiment(
    table: PrivateTable, *, epsilons: Sequence[float], folds: int, models: int, trials: int, say: Say, steps: int = 150
) -> Json:
    """Held-out figures of every mechanism at every ε, and both membership attacks. Raises `FederatedError`."""
    masks = folds_of(table)[:folds]
    measured_runs: list[Json] = []
    for kind, protected, repeats in VARIANTS:
        for epsilon in epsilons:
            if kind == "network" and math.isinf(epsilon):
                continue
            runs = [
                [
                    measured(table, mask, epsilon, kind=kind, protected=protected, seed=SEED + again, steps=steps)
                    for again in range(1 if math.isinf(epsilon) else repeats)
                ]
                for mask in masks
            ]
            measured_runs.append({"mechanism": kind, "protected_columns": protected} | _figures(epsilon, runs))
            say(f"{kind}, protected columns {protected}, ε {epsilon:g}: AUC {measured_runs[-1]['auc']:.4f}")
    rows = np.flatnonzero(~masks[0])
    attacks = []
    for epsilon in epsilons:
        attack = shadows(table, rows, None if math.isinf(epsilon) else epsilon, models, SEED)
        attacks.append({"epsilon": _named(epsilon)} | asdict(attack))
        say(f"membership at ε {epsilon:g}: AUC {attack.everyone.auc:.4f}, outliers {attack.outliers.auc:.4f}")
    small, audits = load_table(None, 4_000, SEED), []
    for epsilon in epsilons:
        if math.isfinite(epsilon):
            audit = canaries(small, epsilon, trials, SEED)
            audits.append(asdict(audit))
            say(f"canaries at ε {epsilon:g}: {audit.transcript.epsilon:.2f}, {audit.transcript.gaussian:.2f}")
    return {
        "dataset": table.public.table,
        "data_origin": table.data_origin,
        "rows": len(table.labels),
        "training_rows": int((~masks[0]).sum()),
        "banks": BANKS,
        "folds": folds,
        "seed": SEED,
        "delta": DELTA,
        "mechanisms": measured_runs,
        "membership": attacks,
        "canaries": audits,
    }


def _named(epsilon: float) -> float | str:
    return epsilon if math.isfinite(epsilon) else "inf"


def _figures(epsilon: float, runs: list[list[PrivateFold]]) -> Json:
    folds = [mean(r.auc for r in each) for each in runs]
    flat = [r for each in runs for r in each]
    return {
        "epsilon": _named(epsilon),
        "claimed": _named(max(r.epsilon for r in flat)),
        "realised": _named(max(r.realised for r in flat)),
        "repeats": len(runs[0]),
        "auc": mean(folds),
        "auc_sd": stdev(folds) if len(folds) > 1 else 0.0,
        "auc_lowest": min(r.auc for r in flat),
        "auc_folds": folds,
        **{name: mean(getattr(r, name) for r in flat) for name in ("ks", "brier", "ece", "seconds")},
        "exchanges": max(r.exchanges for r in flat),
        "bytes": max(r.bytes for r in flat),
    }


def table_text(report: Json) -> str:
    """The report as Markdown."""
    lines = [
        f"**{report['dataset']}** (data origin: {report['data_origin']}), {report['training_rows']:,} training rows at "
        f"{report['banks']} banks, {report['folds']} of 5 folds, seed {report['seed']}, δ = {report['delta']:g}",
        "",
        "| mechanism | columns | ε | AUC | lowest run | KS | Brier | ECE | ε realised | s | exchanges | MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for m in report["mechanisms"]:
        columns = "all" if m["protected_columns"] else "unprotected"
        realised = m["realised"] if isinstance(m["realised"], str) else f"{m['realised']:.2f}"
        wire = f"{m['exchanges']} | {m['bytes'] / 1e6:.1f}" if m["exchanges"] else "– | –"
        cells = [f"{m['auc']:.4f} ±{m['auc_sd']:.4f}", f"{m['auc_lowest']:.4f}"]
        cells += [f"{m[name]:.4f}" for name in ("ks", "brier", "ece")]
        lines.append(
            f"| {m['mechanism']} | {columns} | {m['epsilon']} | {' | '.join(cells)} | {realised} "
            f"| {m['seconds']:.1f} | {wire} |"
        )
    lines += ["", "| ε | attack AUC, all | TPR at 1 % | TPR at 0.1 % | attack AUC, outliers | TPR at 1 % |"]
    lines.append("|---|---|---|---|---|---|")
    for a in report["membership"]:
        e, o = a["everyone"], a["outliers"]
        lines.append(
            f"| {a['epsilon']} | {e['auc']:.4f} ±{e['auc_error']:.4f} | {e['tpr_at_1_percent']:.4f} "
            f"| {e['tpr_at_01_percent']:.4f} | {o['auc']:.4f} ±{o['auc_error']:.4f} | {o['tpr_at_1_percent']:.4f} |"
        )
    lines += ["", "| ε claimed | ε seen in the transcript | if Gaussian | ε seen in the model | if Gaussian | trials |"]
    lines.append("|---|---|---|---|---|---|")
    for c in report["canaries"]:
        t, m = c["transcript"], c["model"]
        seen = " | ".join(f"{part[key]:.2f}" for part in (t, m) for key in ("epsilon", "gaussian"))
        lines.append(f"| {c['claimed']:g} | {seen} | {t['trials']:,} |")
    return "\n".join(lines)


def update_readme(folder: Path) -> str:
    """Rewrite the table in `folder`/README.md from `folder`/reports/*.json; return the new text."""
    return rewrite_tables(folder, lambda reports: [table_text(report) for report in reports])


def draw(report: Json, path: Path) -> Path:
    """AUC against ε with its spread, and the attacks beside it."""
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(10.5, 4.4))
    finite = [m for m in report["mechanisms"] if m["epsilon"] != "inf"]
    for kind, protected, _ in VARIANTS:
        own = [m for m in finite if (m["mechanism"], m["protected_columns"]) == (kind, protected)]
        label = kind + (", all columns" if protected else ", unprotected columns")
        drawn = left.errorbar(
            [m["epsilon"] for m in own],
            [m["auc"] for m in own],
            yerr=[m["auc_sd"] for m in own],
            marker="o",
            capsize=3,
            label=label,
        )
        ceiling = [m for m in report["mechanisms"] if m["epsilon"] == "inf" and m["mechanism"] == kind]
        for m in (m for m in ceiling if m["protected_columns"] == protected):
            left.axhline(m["auc"], linestyle=":", color=drawn[0].get_color(), label=f"{label}, no noise")
    left.set(xscale="log", xlabel="ε", ylabel="held-out AUC", title=f"{report['dataset']}: utility (± sd of folds)")
    left.legend(fontsize=8, loc="lower right")
    attacks = [a for a in report["membership"] if a["epsilon"] != "inf"]
    plain = [a for a in report["membership"] if a["epsilon"] == "inf"]
    for key, label in (("everyone", "all records"), ("outliers", "1 % of largest leverage")):
        drawn = right.errorbar(
            [a["epsilon"] for a in attacks],
            [a[key]["auc"] for a in attacks],
            yerr=[2 * a[key]["auc_error"] for a in attacks],
            marker="o",
            capsize=3,
            label=label,
        )
        for a in plain:
            right.axhline(a[key]["auc"], linestyle=":", color=drawn[0].get_color(), label=f"{label}, no noise")
    right.axhline(0.53, color="grey", linewidth=0.8, label="0.53")
    right.set(xscale="log", xlabel="ε", ylabel="attack AUC", title="membership inference (± 2 s.e.)")
    right.legend(fontsize=8, loc="upper left")
    for axes in (left, right):
        ticks = [m["epsilon"] for m in finite if m["mechanism"] == "additive" and m["protected_columns"]]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
    figure.tight_layout()
    return saved(figure, path)
