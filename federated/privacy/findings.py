"""What a bench measured of the figures that claims rest on: value, unprotected beside it, bound, verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from federated.errors import CorruptData
from federated.privacy.claims import Claims, Figure

Bench = Mapping[str, Mapping[str, Any]]
KEPT = "privacy-report.json"


class Verdict(StrEnum):
    """Against the bound. `open` is measured without a bound, `undecided` too short or on other data: neither passes."""

    MET = "met"
    MISSED = "missed"
    NOT_MEASURED = "not_measured"
    OPEN = "open"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure. `value` and `unprotected` are None where not measured, `bound` where none applies.

    `at_least` gives the bound's direction. `origin` is that of the data, empty where the bench does not say.
    """

    figure: str
    value: float | None
    unprotected: float | None
    bound: float | None
    at_least: bool
    origin: str
    verdict: Verdict


def find(claims: Claims, bench: Bench) -> dict[str, Finding]:
    """Every figure of the claims in `bench`, by id. A part or field that is missing, or no number, is not measured."""
    return {name: _find(figure, bench.get(figure.part, {})) for name, figure in claims.figures.items()}


def _find(figure: Figure, part: Mapping[str, Any]) -> Finding:
    origin = (figure.origin or str(part.get("data_origin", ""))) if part else ""
    value, unprotected = (_value(part, figure, name) for name in (figure.protected, figure.unprotected))
    at_least = figure.at_least is not None
    bound = figure.at_least if at_least else figure.at_most
    if figure.at_most_field:
        bound = number(part.get(figure.at_most_field))
    verdict = _verdict(figure, part, origin, value, bound)
    return Finding(figure.id, value, unprotected, bound, at_least, origin, verdict)


def _verdict(figure: Figure, part: Mapping[str, Any], origin: str, value: float | None, bound: float | None) -> Verdict:
    if value is None:
        return Verdict.NOT_MEASURED
    if bound is None:
        return Verdict.OPEN
    if not origin.startswith(figure.bound_on):
        return Verdict.UNDECIDED
    kept = value >= bound if figure.at_least is not None else value <= bound
    if not kept:
        return Verdict.MISSED
    if figure.needs is not None:
        # A short run cannot pass what was asked of a long one, though it can fail it.
        size = number(part.get(figure.needs[0]))
        if size is None or size < figure.needs[1]:
            return Verdict.UNDECIDED
    return Verdict.MET


def _value(part: Mapping[str, Any], figure: Figure, name: str) -> float | None:
    value = number(part.get(name)) if name else None
    if value is None or not figure.minus_from:
        return value
    whole = number(part.get(figure.minus_from))
    return None if whole is None else whole - value


def number(value: Any) -> float | None:
    """A finite number, or None: a flag, a text or an infinity is not a measurement."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_bench(path: Path) -> Bench:
    """A bench file, as `tanxin bench privacy --json` prints it. Raises `CorruptData`."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptData(f"{path} is no bench file: {error}", file=str(path)) from error
    if not isinstance(raw, dict) or not all(isinstance(part, dict) for part in raw.values()):
        raise CorruptData(f"{path} is no bench file: parts with fields were expected", file=str(path))
    return raw


def keep(home: Path, report: Mapping[str, Any]) -> Path:
    """Leave a report in a home, where the console finds it. Replaced by one rename."""
    target, draft = home / KEPT, home / f".{KEPT}"
    draft.write_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    return draft.replace(target)


def kept(home: Path) -> tuple[str, dict[str, Finding]] | None:
    """When the last report of a home was made and what it found; None without one. Raises `CorruptData`."""
    try:
        raw = json.loads((home / KEPT).read_text("utf-8"))
        findings = {
            each["figure"]: Finding(**{**each, "verdict": Verdict(each["verdict"])}) for each in raw["findings"]
        }
        return str(raw["at"]), findings
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"the privacy report of {home} cannot be read: {error}", file=KEPT) from error


def as_json(findings: Mapping[str, Finding]) -> list[dict[str, Any]]:
    """Findings as plain values."""
    return [asdict(each) for each in findings.values()]
