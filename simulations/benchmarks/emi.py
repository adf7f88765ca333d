"""Rounded instalment schedules against reference vectors, to the cent."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from financing.base.errors import FinancingError
from financing.lending.contracts.instalments import Basis, Progress
from simulations.benchmarks.actus import FileResult, VectorsInvalid

COLUMNS = {"emi": "instalment", "interest_due": "interest", "principal_due": "principal", "balance_after": "balance"}
CALLS = {"addDisbursement", "changeInterestRate"}
CENT = Decimal("0.01")


def check_file(path: Path) -> FileResult:
    """Run every test of a file. Raises `VectorsInvalid` for a file that cannot be read as schedules.

    A test that calls for payments or corrections is counted as not passed and named so: they are events of a loan
    (`financing.lending`), not of a schedule.
    """
    try:
        tests = json.loads(path.read_text("utf-8"))["tests"]
        results = [(str(test["name"]), difference(test)) for test in tests if not test.get("disabled")]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise VectorsInvalid(f"{path}: {error!r}") from error
    if not results:
        raise VectorsInvalid(f"{path}: there are no tests in it")
    wrong = tuple(f"{name}: {problem}" for name, problem in results if problem is not None)
    return FileResult(str(path), len(results) - len(wrong), len(results), wrong)


def difference(test: dict[str, Any]) -> str | None:
    """The first difference of one test, or None."""
    unknown = sorted({step["call"] for step in test["steps"] if "call" in step} - CALLS)
    if unknown:
        return f"not a schedule of disbursements and rates: calls {', '.join(unknown)}"
    try:
        basis = Basis.of(
            test["days_in_year"], test["days_in_month"], test["frequency"], int(test.get("repay_every", 1))
        )
        periods = tuple((date.fromisoformat(start), date.fromisoformat(due)) for start, due in test["periods"])
        progress = Progress(periods, Decimal(str(test["annual_rate_pct"])) / 100, basis)
        for place, step in enumerate(test["steps"], start=1):
            if "call" in step:
                on, value = date.fromisoformat(step["args"][0]), step["args"][1]
                if step["call"] == "addDisbursement":
                    amount = _amount(value, test["steps"][place:], progress)
                    if amount is None:
                        return f"step {place}: the file names no amount ({value})"
                    progress.disburse(on, amount)
                else:
                    progress.change_rate(on, Decimal(str(value)) / 100)
            elif (schedule := _compare(progress, step["expect"])) is not None:
                return f"step {place}: {schedule}"
    except FinancingError as error:
        return f"refused: {error} {error.context}"
    return None


def _amount(value: object, later: list[dict[str, Any]], progress: Progress) -> Decimal | None:
    """The amount of a disbursement: as given, or, where the file holds a name instead, what the principal that the next
    schedule expects adds up to, less what is disbursed already."""
    if isinstance(value, int | float):
        return Decimal(str(value))
    expected = next((step["expect"] for step in later if "expect" in step), None)
    if expected is None:
        return None
    by_period = {row["period"]: Decimal(str(row["principal_due"])) for row in expected}
    return sum(by_period.values(), Decimal(0)) - sum((amount for _, amount in progress.disbursed), Decimal(0))


def _compare(progress: Progress, expected: list[dict[str, Any]]) -> str | None:
    last = {row["period"]: row for row in expected}
    for number, row in sorted(last.items()):
        if number >= len(progress.schedule):
            return f"period {number + 1} is missing"
        period = progress.schedule[number]
        for column, attribute in COLUMNS.items():
            if column not in row:
                continue
            have = getattr(period, attribute)
            if column == "balance_after":  # with what is paid out on the due day itself
                have += sum((amount for on, amount in progress.disbursed if on == period.due), Decimal(0))
            want, have = Decimal(str(row[column])).quantize(CENT), have.quantize(CENT)
            if want != have:
                return f"period {number + 1}: {column}: expected {want}, found {have}"
    return None
