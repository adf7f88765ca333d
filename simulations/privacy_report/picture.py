"""The report as a picture: leakage unprotected against protected with its bound, and the distance to every bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated.privacy.claims import Claims, Figure, Kind
from federated.privacy.findings import Finding, Verdict
from simulations.drawing import pyplot, saved
from simulations.privacy_report.page import shown

BARE, KEPT, MISSED, QUIET, INK = "#c8553d", "#0b6b53", "#a3232b", "#8a958f", "#15211c"
WIDEST, NARROWEST = 30.0, 0.2
Row = tuple[Figure, Finding]


def draw(findings: Mapping[str, Finding], claims: Claims, path: Path) -> Path:
    """Write a PNG. What was not measured keeps its line and says so."""
    rows = [(claims.figures[name], finding) for name, finding in findings.items()]
    attacks = [row for row in rows if row[0].kind is Kind.ATTACK]
    opened = [row for row in rows if row[0].kind in (Kind.EXTRACTION, Kind.INVERSION)]
    bounds = [row for row in rows if row[0].bounded]
    heights = [len(part) + 1.2 for part in (attacks, opened, bounds)]
    settings: Any = {"font.size": 10, "axes.edgecolor": QUIET, "text.color": INK, "axes.labelcolor": INK}
    plots = pyplot()
    with plots.rc_context(settings):
        figure, axes = plots.subplots(
            3, 1, figsize=(12, 0.5 * sum(heights) + 1.2), height_ratios=heights, layout="constrained"
        )
        figure.suptitle("Who could learn what: unprotected, protected, and the bound", fontsize=15, weight="bold")
        _dumbbells(axes[0], attacks, "Attacks, left is safer (grey line: nothing learnt)")
        _dumbbells(axes[1], opened, "What an attack leaves open, right is safer")
        _margins(axes[2], bounds)
        handles = [
            axes[0].scatter([], [], color=BARE, label="unprotected"),
            axes[0].scatter([], [], color=KEPT, label="protected"),
        ]
        axes[0].legend(handles=handles, loc="upper left", frameon=False, fontsize=9)
        return saved(figure, path, dpi=120)


def _lines(axes: Any, rows: list[Row], title: str) -> None:
    labels = [f"{figure.label[1]}\n({finding.origin or 'no data'})" for figure, finding in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
    axes.grid(axis="x", color="#e3e8e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _dumbbells(axes: Any, rows: list[Row], title: str) -> None:
    _lines(axes, rows, title)
    seen = [v for _, f in rows for v in (f.value, f.unprotected) if v is not None]
    axes.set_xlim(min([0.0, *seen]) - 0.02, 1.12 * max([0.5, *seen]))
    for y, (figure, finding) in enumerate(rows):
        if finding.value is None:
            axes.text(0.01, y, "not measured", va="center", color=QUIET, style="italic")
            continue
        if figure.chance is not None:
            axes.plot([figure.chance] * 2, [y - 0.32, y + 0.32], color=QUIET, linewidth=1)
        if finding.bound is not None:
            axes.plot([finding.bound] * 2, [y - 0.32, y + 0.32], color=INK, linewidth=2.2)
            axes.text(finding.bound, y - 0.34, f"bound {shown(finding.bound)}", ha="left", va="bottom", fontsize=7.5)
        right = max(v for v in (finding.value, finding.unprotected, finding.bound) if v is not None)
        if finding.unprotected is not None:
            axes.plot([finding.value, finding.unprotected], [y, y], color="#d9dedb", linewidth=5, zorder=1)
            axes.scatter([finding.unprotected], [y], s=85, color=BARE, zorder=2)
        colour = MISSED if finding.verdict is Verdict.MISSED else KEPT
        axes.scatter([finding.value], [y], s=85, color=colour, zorder=3)
        text = (
            f"  {shown(finding.unprotected)} → {shown(finding.value)}"
            if finding.unprotected is not None
            else f"  {shown(finding.value)}"
        )
        axes.text(right, y, text, va="center", fontsize=9)


def _margins(axes: Any, rows: list[Row]) -> None:
    _lines(
        axes,
        rows,
        "Times better than the bound (grey: run too short)",
    )
    axes.set_xscale("log")
    axes.set_xlim(NARROWEST, 6 * WIDEST)
    axes.set_xticks([0.3, 1, 3, 10, 30], ["0.3×", "1×", "3×", "10×", "≥ 30×"])
    axes.minorticks_off()
    axes.axvline(1, color=INK, linewidth=2.2, zorder=1)
    for y, (_, finding) in enumerate(rows):
        if finding.value is None or finding.bound is None:
            axes.text(1.06, y, "not measured", va="center", color=QUIET, style="italic")
            continue
        times = min(max(margin(finding), NARROWEST), WIDEST)
        colour = {Verdict.MET: KEPT, Verdict.MISSED: MISSED}.get(finding.verdict, QUIET)
        axes.barh(y, times - 1, left=1, height=0.55, color=colour, zorder=2)
        said = f"{shown(finding.value)} {'≥' if finding.at_least else '≤'} {shown(finding.bound)}"
        if finding.verdict is not Verdict.MET:
            said = f"{shown(finding.value)}, bound {'≥' if finding.at_least else '≤'} {shown(finding.bound)}: " + (
                "missed" if finding.verdict is Verdict.MISSED else "no verdict"
            )
        axes.text(max(times, 1) * 1.06, y, said, va="center", fontsize=9)


def margin(finding: Finding) -> float:
    """How many times a value is better than its bound; 1 at the bound, infinite for nothing where little is allowed."""
    if finding.value is None or finding.bound is None:
        return math.nan
    above, below = (finding.value, finding.bound) if finding.at_least else (finding.bound, finding.value)
    if below <= 0:
        return math.inf if above > 0 else 1.0
    return above / below
