"""Contracts against reference vectors: every event, every column, within one millionth."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from financing.base.errors import FinancingError
from financing.lending.contracts.actus.events import Event
from financing.lending.contracts.actus.running import observation_of, run
from financing.lending.contracts.actus.terms import moment_of, number_of

TOLERANCE = 1e-6
COLUMNS = {
    "payoff": "payoff",
    "notionalPrincipal": "notional",
    "nominalInterestRate": "rate",
    "accruedInterest": "accrued",
    "exerciseAmount": "exercise",
}


class VectorsInvalid(ValueError):
    """The file is not one of vectors."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """How many vectors of a file passed, and the first difference of each that did not."""

    file: str
    passed: int
    total: int
    differences: tuple[str, ...]


def check_file(path: Path) -> FileResult:
    """Run every vector of a file. Raises `VectorsInvalid` for a file that cannot be read as vectors."""
    try:
        vectors = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VectorsInvalid(f"{path}: {error}") from error
    if not isinstance(vectors, dict) or not vectors:
        raise VectorsInvalid(f"{path}: an object of vectors by name is expected")
    for name, vector in vectors.items():
        if not _is_vector(vector):
            raise VectorsInvalid(f"{path}: {name}: terms by name and results with eventDate and eventType are expected")
    differences = [wrong for name, vector in vectors.items() if (wrong := difference(name, vector)) is not None]
    return FileResult(str(path), len(vectors) - len(differences), len(vectors), tuple(differences))


def _is_vector(vector: object) -> bool:
    if not isinstance(vector, dict):
        return False
    results, data, events = vector.get("results"), vector.get("dataObserved"), vector.get("eventsObserved")
    return (
        isinstance(vector.get("terms"), dict)
        and isinstance(results, list)
        and all(isinstance(each, dict) and "eventDate" in each and "eventType" in each for each in results)
        and (not data or isinstance(data, dict))
        and (not events or isinstance(events, list))
    )


def difference(name: str, vector: dict[str, Any]) -> str | None:
    """The first difference of one vector, or None."""
    try:
        observed = observation_of(vector.get("dataObserved") or {}, vector.get("eventsObserved") or [])
        to = str(vector.get("to") or "").strip()
        events = run(vector["terms"], observed, moment_of(to) if to else None)
        return _compared(name, vector["results"], events)
    except FinancingError as error:
        return f"{name}: refused: {error} {error.context}"


def _compared(name: str, expected: list[dict[str, Any]], events: list[Event]) -> str | None:
    for place, (want, have) in enumerate(zip(expected, events, strict=False)):
        where = f"{name}: event {place + 1} ({want['eventType']} {want['eventDate']})"
        if moment_of(str(want["eventDate"])) != have.at or want["eventType"] != have.kind:
            return f"{where}: found {have.kind} {have.at.isoformat()}"
        if "currency" in want and want["currency"] != have.currency:
            return f"{where}: currency: expected {want['currency']}, found {have.currency}"
        if want.get("exerciseDate") and moment_of(str(want["exerciseDate"])) != have.exercised:
            return f"{where}: exerciseDate: expected {want['exerciseDate']}, found {have.exercised}"
        for column, attribute in COLUMNS.items():
            wrong = _differs(want.get(column), getattr(have, attribute))
            if wrong is not None:
                return f"{where}: {column}: {wrong}"
    if len(expected) != len(events):
        extra: Event | None = events[len(expected)] if len(events) > len(expected) else None
        return f"{name}: {len(expected)} events expected, {len(events)} found" + (
            f", first extra {extra.kind} {extra.at.isoformat()}" if extra else ""
        )
    return None


def _differs(expected: object, computed: float | None) -> str | None:
    if expected is None:
        return None
    want = number_of(expected, "expected")
    if computed is None or math.isnan(computed) or abs(want - computed) > TOLERANCE * max(1.0, abs(want)):
        return f"expected {want!r}, found {computed!r}"
    return None
