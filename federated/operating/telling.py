"""What an operator's run says while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

from federated.protocols.core.rows import NOBODY
from federated.protocols.operator_run import Reporter


def timed_reporter(write: Callable[[str], None]) -> Reporter:
    """Lines with the seconds since now before them, one a round."""
    began = time.monotonic()

    def say(line: str) -> None:
        write(f"{time.monotonic() - began:6.1f} s {line}")

    def rounds(fold: int, phase: str, number: int, loss: float | None) -> None:
        say(round_line(fold, phase, number, loss))

    return Reporter(say=say, round=rounds)


def round_line(fold: int, phase: str, number: int, loss: float | None) -> str:
    """A round of training; of a protected one the operator learns that it was, and no loss."""
    where = "all customers" if fold == NOBODY else f"fold {fold}"
    return f"{where}, {phase}, round {number}" + ("" if loss is None else f": validation loss {loss:.4f}")
