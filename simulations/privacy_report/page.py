"""The report as one page that needs nothing else: no script, nothing loaded, both languages, light and dark."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from federated.privacy.claims import Claims, Phase
from federated.words import LANGUAGES
from simulations.privacy_report.texts import TEXTS

HERE = Path(__file__).parent

_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(report: dict[str, Any], claims: Claims, picture: bytes = b"") -> str:
    """HTML of a report as `report.report_of` makes it; `picture`, a PNG, is put into the page."""
    findings = {each["figure"]: each for each in report["findings"]}
    groups = _groups(report["runs"])
    if "robustness" in report["sizes"]:
        # No run of a home says that it was poisoned: what a bench tried stands by itself.
        groups[Phase.ROBUST,] = ["robustness"]
    return _templates.get_template("report.html").render(
        report=report,
        findings=findings,
        figures=claims.figures,
        groups=[(phases, names, claims.of(phases)) for phases, names in groups.items()],
        languages=LANGUAGES,
        t=TEXTS.text,
        shown=shown,
        picture=base64.b64encode(picture).decode(),
    )


def _groups(runs: list[dict[str, Any]]) -> dict[tuple[Phase, ...], list[str]]:
    """Runs that went the same way share one table."""
    by_phases: dict[tuple[Phase, ...], list[str]] = {}
    for run in runs:
        by_phases.setdefault(tuple(Phase(each) for each in run["phases"]), []).append(run["name"])
    return by_phases


def shown(value: Any) -> str:
    """A value with four significant digits, thousands apart; what is no number as it is; None stays visible."""
    if value is None:
        return "—"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
