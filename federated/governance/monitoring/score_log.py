"""The operator's log of scores, one row an answer, and what it shows: drift, and the challenger beside the champion.

`<home>/registry/<model>/scores.db`. A row names the bank, the versions and their scores, never the subject: who was
asked about is in the bank's inquiry log, not here.
"""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.consent.instants import to_micros
from federated.errors import CorruptData
from federated.governance.monitoring.drift import Drift, drift, score_counts

TABLE = """
CREATE TABLE IF NOT EXISTS scores (
  at_us INTEGER NOT NULL, bank_id TEXT NOT NULL, basis TEXT NOT NULL,
  champion TEXT NOT NULL, champion_score INTEGER NOT NULL CHECK (champion_score BETWEEN 300 AND 850),
  challenger TEXT, challenger_score INTEGER CHECK (challenger_score BETWEEN 300 AND 850),
  CHECK (challenger IS NOT NULL OR challenger_score IS NULL)
) STRICT;
CREATE INDEX IF NOT EXISTS scores_of_champion ON scores (champion, at_us);
"""
Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered score. A challenger without a score is one that failed on this query."""

    at: datetime
    bank_id: str
    basis: str
    champion: str
    champion_score: int
    challenger: str | None = None
    challenger_score: int | None = None


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the challenger would have changed, over the `rows` that both scored; `failed` more it could not score.

    Differences are challenger minus champion, in points. `swap_in` counts customers whom only the challenger approves
    at the cut-off, `swap_out` those whom only the champion does. None means that there are too few rows to say.
    """

    rows: int
    failed: int
    mean_difference: float | None = None
    sd_difference: float | None = None
    equal_decisions: float | None = None
    swap_in: int = 0
    swap_out: int = 0
    correlation: float | None = None


class ScoreLog:
    """Rows that are added and counted, never changed. One connection behind a lock, shared by threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # Statistics may lose their last rows when the power fails; waiting for the disk would slow every score.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(TABLE)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise CorruptData(f"{path.name} is not a score log: {error}", file=path.name) from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()

    def record(self, answered: Answered) -> None:
        """Add one answered score."""
        row = (
            to_micros(answered.at),
            answered.bank_id,
            answered.basis,
            answered.champion,
            answered.champion_score,
            answered.challenger,
            answered.challenger_score,
        )
        with self._lock:
            self._db.execute("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def drift(self, champion: str, reference: Mapping[str, Counts], since: datetime) -> dict[str, Drift]:
        """By basis, this champion's answers since then against its reference counts in `SCORE_BANDS`."""
        return {basis: drift(counts, self._counts(champion, basis, since)) for basis, counts in reference.items()}

    def shadow(self, champion: str, challenger: str, cut_off: int, since: datetime) -> Shadow:
        """Compare two versions on the queries that both were given since then, at the champion's cut-off."""
        with self._lock:
            rows = self._db.execute(
                "SELECT champion_score, challenger_score, COUNT(*) FROM scores"
                " WHERE champion = ? AND challenger = ? AND at_us >= ? GROUP BY 1, 2",
                (champion, challenger, to_micros(since)),
            ).fetchall()
        failed = sum(count for _, score, count in rows if score is None)
        both = np.array([row for row in rows if row[1] is not None], dtype=np.float64).reshape(-1, 3)
        return _compared(both[:, 0], both[:, 1], both[:, 2], cut_off, failed)

    def _counts(self, champion: str, basis: str, since: datetime) -> Counts:
        with self._lock:
            rows = self._db.execute(
                "SELECT champion_score, COUNT(*) FROM scores"
                " WHERE champion = ? AND basis = ? AND at_us >= ? GROUP BY 1",
                (champion, basis, to_micros(since)),
            ).fetchall()
        scores = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return score_counts(scores[:, 0], scores[:, 1])


def _compared(
    champion: NDArray[np.float64],
    challenger: NDArray[np.float64],
    times: NDArray[np.float64],
    cut_off: int,
    failed: int,
) -> Shadow:
    """Weighted statistics of distinct pairs of scores, each of which came `times` times."""
    rows = int(times.sum())
    if not rows:
        return Shadow(0, failed)
    difference = challenger - champion
    mean = float(np.average(difference, weights=times))
    now, then = champion >= cut_off, challenger >= cut_off
    return Shadow(
        rows=rows,
        failed=failed,
        mean_difference=mean,
        sd_difference=math.sqrt(float(times @ (difference - mean) ** 2) / (rows - 1)) if rows > 1 else None,
        equal_decisions=float(times[now == then].sum()) / rows,
        swap_in=int(times[~now & then].sum()),
        swap_out=int(times[now & ~then].sum()),
        correlation=_correlation(champion, challenger, times),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], times: NDArray[np.float64]) -> float | None:
    """Pearson's, or None where one of the two does not vary."""
    a, b = a - np.average(a, weights=times), b - np.average(b, weights=times)
    spread = float(times @ a**2) * float(times @ b**2)
    return float(times @ (a * b)) / math.sqrt(spread) if spread > 0.0 else None
