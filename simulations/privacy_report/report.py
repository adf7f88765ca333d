"""A report as plain JSON, and its three files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from federated.privacy.claims import Claims
from federated.privacy.findings import Bench, as_json, find, keep
from simulations.privacy_report.page import page
from simulations.privacy_report.picture import draw
from simulations.privacy_report.runs import Run, runs_in

Json = dict[str, Any]


def write_report(home: Path, bench: Bench, claims: Claims, at: datetime, out: Path) -> Json:
    """Write report.json, report.html and report.png to `out`, and leave the report in `home` for the console.

    Raises `DataMissing` for a home without runs, and what reading its registry and ledgers raises.
    """
    report = report_of(runs_in(home), bench, claims, at)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(text + "\n", "utf-8")
    picture = draw(find(claims, bench), claims, out / "report.png")
    (out / "report.html").write_text(page(report, claims, picture.read_bytes()), "utf-8")
    keep(home, report)
    return report


def report_of(runs: Iterable[Run], bench: Bench, claims: Claims, at: datetime) -> Json:
    """Runs, findings and the fields of parts that no claim reads. `at` is when it was made, UTC."""
    known = {figure.part for figure in claims.figures.values()}
    return {
        "at": at.isoformat(),
        "claims_from": claims.since.isoformat(),
        "source": claims.source,
        "runs": [asdict(run) for run in runs],
        "findings": as_json(find(claims, bench)),
        "measured": bool(bench),
        "others": {name: dict(part) for name, part in bench.items() if name not in known},
        "sizes": {name: _sizes(part) for name, part in bench.items()},
    }


def _sizes(part: Any) -> dict[str, int]:
    """How much a part measured: whoever reads a figure sees whether a short run gave it."""
    names = ("ids", "clients", "rows", "races", "probed_ids", "firms", "folds", "models", "trials")
    return {name: part[name] for name in names if isinstance(part.get(name), int)}
