"""The experiment's report as JSON, its table as Markdown, and its picture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from federated.protocols.robust.operator import MODES
from simulations.drawing import pyplot, saved
from simulations.experiments.poisoned_banks.run import REFUSED_SHARE, PoisonedFold, attacks, measured
from simulations.experiments.private_credit.world import BANKS, PrivateTable, bank_names, folds_of
from simulations.tables import rewrite_tables

SEED = 2024

Json = dict[str, Any]
Say = Callable[[str], None]


def run_experiment(table: PrivateTable, *, folds: int, say: Say) -> Json:
    """Every attack by every one and every two of five banks, in every mode. Raises `FederatedError`."""
    masks, names = folds_of(table)[:folds], bank_names()
    clean = {mode: [measured(table, mask, mode, seed=SEED) for mask in masks] for mode in MODES}
    base = [fold.auc for fold in clean["unprotected"]]
    measured_runs: list[Json] = []
    for mode, folded in clean.items():
        measured_runs.append({"attack": "none", "poisoned": 0, "mode": mode} | _figures([[f] for f in folded], base))
        say(f"clean, {mode}: AUC {measured_runs[-1]['auc']:.4f}")
    for poison in attacks(table):
        for count in (1, 2):
            for mode in MODES:
                runs = [
                    [measured(table, mask, mode, who, poison, SEED) for who in combinations(names, count)]
                    for mask in masks
                ]
                measured_runs.append({"attack": poison.name, "poisoned": count, "mode": mode} | _figures(runs, base))
                last = measured_runs[-1]
                say(f"{poison.name} at {count} of 5, {mode}: AUC {last['auc']:.4f}, backdoor {last['backdoor']:.3f}")
    return {
        "dataset": table.public.table,
        "data_origin": table.data_origin,
        "rows": len(table.labels),
        "training_rows": int((~masks[0]).sum()),
        "banks": BANKS,
        "folds": folds,
        "seed": SEED,
        "refused_share": REFUSED_SHARE,
        "runs": measured_runs,
    }


def _figures(runs: list[list[PoisonedFold]], base: list[float]) -> Json:
    """Means over folds and over who is poisoned; losses against the clean sum of the fold, `loss_worst` of one run."""
    folds = [mean(run.auc for run in each) for each in runs]
    losses = [clean - run.auc for clean, each in zip(base, runs, strict=True) for run in each]
    return {
        "auc": mean(folds),
        "auc_sd": stdev(folds) if len(folds) > 1 else 0.0,
        "auc_folds": folds,
        "loss": mean(losses),
        "loss_worst": max(losses),
        "backdoor": mean(run.backdoor for each in runs for run in each),
        "backdoor_worst": max(run.backdoor for each in runs for run in each),
    }


def table_text(report: Json) -> str:
    """The report as Markdown."""
    lines = [
        f"**{report['dataset']}** (data origin: {report['data_origin']}), {report['training_rows']:,} training rows at "
        f"{report['banks']} banks, {report['folds']} of 5 folds, seed {report['seed']}, every choice of poisoned banks",
        "",
        "| attack | poisoned | mode | AUC | loss | loss, worst run | backdoor opens | worst run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in report["runs"]:
        figures = f"{run['auc']:.4f} ±{run['auc_sd']:.4f} | {run['loss']:+.4f} | {run['loss_worst']:+.4f}"
        opened = f"{run['backdoor']:.3f} | {run['backdoor_worst']:.3f}"
        lines.append(f"| {run['attack']} | {run['poisoned']} of 5 | {run['mode']} | {figures} | {opened} |")
    return "\n".join(lines)


def update_readme(folder: Path) -> str:
    """Rewrite the table in `folder`/README.md from `folder`/reports/*.json; return the new text."""
    return rewrite_tables(folder, lambda reports: [table_text(report) for report in reports])


def draw(report: Json, path: Path) -> Path:
    """AUC and backdoor success with two of five banks poisoned, by attack and mode."""
    figure, sides = pyplot().subplots(1, 2, figsize=(11, 4.6), sharey=True)
    names = ["none", *dict.fromkeys(run["attack"] for run in report["runs"] if run["poisoned"])]
    parts = (("auc", "held-out AUC (± sd of folds)"), ("backdoor", "refused customers that the trigger lets in"))
    for axes, (key, title) in zip(sides, parts, strict=True):
        for place, mode in enumerate(MODES):
            own = {r["attack"]: r for r in report["runs"] if r["mode"] == mode and r["poisoned"] in (0, 2)}
            error = [own[name]["auc_sd"] for name in names] if key == "auc" else None
            heights = [i + (place - 1) * 0.27 for i in range(len(names))]
            axes.barh(heights, [own[name][key] for name in names], 0.25, xerr=error, label=mode)
        axes.set(xlim=(0.0, 1.0), xlabel=title)
        axes.set_yticks(range(len(names)), names)
    sides[0].invert_yaxis()
    sides[1].legend(loc="lower right", fontsize=8)
    figure.suptitle(f"{report['dataset']}: 2 of 5 banks poisoned, mean over all pairs")
    figure.tight_layout()
    return saved(figure, path)
