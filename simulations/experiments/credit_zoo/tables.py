"""The tables of this experiment's README, made from its report files, which the commands printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulations.experiments.credit_zoo.crossed import CROSSED
from simulations.tables import rewrite_tables

Json = dict[str, Any]
VERTICAL = (
    "protected", "protected_bank_only", "federated", "federated_additive", "scorecard", "additive", "pair_trees",
    "trees", "networks",
    "label_holder_only", "fate_settings", "xgboost_by_party", "xgboost", "lightgbm", "catboost",
)  # fmt: skip
WITHIN = 0.002


def vertical_table(report: Json) -> str:
    """One data set: every model with its metrics and costs, then the paired differences."""
    holder, other = report["columns"]
    lines = [
        f"**{report['dataset']}**: {report['rows']:,} rows, {holder} columns at the label holder and {other} at the "
        f"other party, {report['folds']} of 5 folds, seed {report['seed']}, {report['threads']} thread(s)",
        "",
        "| model | AUC | KS | Brier | ECE | s a fold | exchanges | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in VERTICAL if name in report["models"]):
        m = report["models"][name]
        wire = f"{m['exchanges']} | {m['bytes'] / 1e6:.0f}" if m["exchanges"] else "– | –"
        metrics = " | ".join(f"{m[key]:.4f}" for key in ("ks", "brier", "ece"))
        lines.append(f"| {name} | {m['auc']:.4f} ±{m['auc_sd']:.4f} | {metrics} | {m['seconds']:.1f} | {wire} |")
    return "\n".join(lines)


def overview(reports: list[Json]) -> str:
    """All sets side by side: the default and the explainable model against the best pooled one, paired by fold."""
    lines = [
        "| set | best pooled | its AUC | federated | difference (s.e.) | federated_additive | difference (s.e.) |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in reports:
        best = r["best_pooled"]
        cells = [r["dataset"], best, f"{r['models'][best]['auc']:.4f}"]
        for ours in ("federated", "federated_additive"):
            gap = r["paired"][ours][best]
            cells += [f"{r['models'][ours]['auc']:.4f}", f"{gap['difference']:+.4f} ({gap['standard_error']:.4f})"]
        lines.append("| " + " | ".join(cells) + " |")
    gaps = [r["paired"]["federated"][r["best_pooled"]]["difference"] for r in reports]
    lines += [
        "",
        f"`federated` is above the best pooled model on {sum(g > 0 for g in gaps)} of {len(gaps)} sets and more than "
        f"{WITHIN} below it on {sum(g < -WITHIN for g in gaps)}. The best pooled model of a set is chosen with "
        "hindsight, on the same held-out rows.",
    ]
    return "\n".join(lines)


def protected_overview(reports: list[Json]) -> str:
    """The protected default on all sets against the best pooled model of each, paired by fold."""
    lines = [
        "| set | rows | protected AUC | banks only | best pooled | its AUC | gap (s.e.) | ECE (chance) | s | MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    gaps = []
    for r in reports:
        ours, best = r["models"]["protected"], r["best_pooled"]
        gap = r["paired"]["protected"][best]
        gaps.append(gap["difference"])
        lines.append(
            f"| {r['dataset']} | {r['rows']:,} | {ours['auc']:.4f} ±{ours['auc_sd']:.4f} | "
            f"{r['models']['protected_bank_only']['auc']:.4f} | {best} | {r['models'][best]['auc']:.4f} | "
            f"{gap['difference']:+.4f} ({gap['standard_error']:.4f}) | "
            f"{ours['ece_pooled']:.4f} ({ours['ece_by_chance']:.4f}) | {ours['seconds']:.0f} | "
            f"{ours['bytes'] / 1e6:.0f} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"The protected model is at most 0.003 below the best pooled one on {sum(g >= -0.003 for g in gaps)} of "
            f"{len(gaps)} sets, and above it on {sum(g > 0 for g in gaps)}. Three banks, two grid companies, seed "
            f"{reports[0]['seed']}, {reports[0]['folds']} of 5 folds; the best pooled model is chosen with hindsight.",
        ]
    )


def crossed_table(report: Json) -> str:
    """The generated table whose labels need both sides' columns together, and what a sum of two functions is worth."""
    gaps = report["paired"]["protected"]
    told = ", ".join(
        f"{gaps[name]['difference']:+.4f} ({gaps[name]['standard_error']:.4f}) against {name}"
        for name in ("xgboost", "lightgbm", "xgboost_by_party")
    )
    note = f"All of it is generated. Protected over the folds (s.e.): {told}, which mixes no columns of both in a tree."
    return f"{vertical_table(report)}\n\n{note}"


def horizontal_table(report: Json) -> str:
    """Ten banks: federated against pooled, then each bank against its local model."""
    lines = [
        f"**{report['dataset']}**: {report['banks']} banks, {report['folds']} of 5 folds, seed {report['seed']}",
        "",
        "| customers dealt | federated AUC | pooled AUC | difference | "
        "mean ECE a bank, before → after own calibration | exchanges | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting, result in report["settings"].items():
        ours, pooled = result["models"]["federated"]["auc"], result["models"]["pooled"]["auc"]
        banks = [b for b in result["banks"] if "local" in b]
        before, after = (sum(b[n]["ece"] for b in banks) / len(banks) for n in ("federated", "federated_calibrated"))
        lines.append(
            f"| {setting} | {ours:.4f} | {pooled:.4f} | {ours - pooled:+.4f} | {before:.3f} → {after:.3f} | "
            f"{result['exchanges']} | {result['bytes'] / 1e6:.0f} |"
        )
    lines += [
        "",
        "Every bank, with its own calibration, on its held-out customers of all folds, against its local model (in "
        "brackets the s.e. of the paired difference, over customers):",
        "",
        "| customers dealt | better by more than 2 s.e. | worse by more than 2 s.e. | mean gain | "
        "lowest gain | smallest bank | largest bank |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting, result in report["settings"].items():
        lines.append(_against_local(setting, result["banks"]))
    return "\n".join(lines)


def _against_local(setting: str, banks: list[Json]) -> str:
    compared = sorted((b for b in banks if "against_local" in b), key=lambda b: b["customers"])
    gaps = [b["against_local"] for b in compared]

    def gain(k: int) -> str:
        return f"{gaps[k]['difference']:+.4f} ({gaps[k]['standard_error']:.4f})"

    lowest = min(range(len(gaps)), key=lambda k: gaps[k]["difference"])
    better, worse = (sum(g["sign"] == sign for g in gaps) for sign in (1, -1))
    mean = sum(g["difference"] for g in gaps) / len(gaps)
    ends = [f"{compared[k]['customers']:,} rows: {gain(k)}" for k in (0, -1)]
    return f"| {setting} | {better} of {len(gaps)} | {worse} | {mean:+.4f} | {gain(lowest)} | {ends[0]} | {ends[1]} |"


def speed_table(report: Json) -> str:
    """One score with reasons in process."""
    lines = [
        f"**{report['dataset']}**, both parties, one customer at a time, score and reasons:",
        "",
        "| model | median µs | 95 % below µs | scores |",
        "|---|---|---|---|",
    ]
    titles = {"additive": "federated_additive, tables, exact", "networks": "networks, 64 sampled orders"}
    for name, title in titles.items():
        timed = report[name]
        lines.append(f"| {title} | {timed['median_us']:.0f} | {timed['p95_us']:.0f} | {timed['scores']} |")
    better = f"{report['neutralised_better']:.1%}"
    return "\n".join(
        [*lines, "", f"Neutralising a stated reason of federated_additive improves the score in {better}."]
    )


def update_readme(folder: Path) -> str:
    """Rewrite the tables in `folder`/README.md from `folder`/reports/*.json; return the new text."""

    def tables(reports: list[Any]) -> list[str]:
        vertical = [r for r in reports if "models" in r and "federated" in r["models"]]
        parts = [protected_overview(r) for r in reports if isinstance(r, list)]
        parts += [crossed_table(r) for r in reports if isinstance(r, dict) and r.get("dataset") == CROSSED]
        parts += [overview(vertical), *(vertical_table(r) for r in vertical)]
        parts += [horizontal_table(r) for r in reports if "settings" in r]
        return parts + [speed_table(r) for r in reports if "neutralised_better" in r]

    return rewrite_tables(folder, tables)
