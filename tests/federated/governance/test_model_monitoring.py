"""The score log: what it keeps, and what it says of drift and of a challenger."""

import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest
from hand_made import AT, DAY

from federated.errors import CorruptData
from federated.governance.monitoring.drift import Verdict, score_counts
from federated.governance.monitoring.score_log import Answered, ScoreLog, Shadow

ONE = Answered(AT, "bank-gusu", "joint", "v0001", 600)


@pytest.fixture
def log(tmp_path):
    opened = ScoreLog(tmp_path / "registry" / "credit" / "scores.db")
    yield opened
    opened.close()


def pairs(log, champion, challenger):
    for a, b in zip(champion, challenger, strict=True):
        log.record(
            replace(ONE, champion_score=int(a), challenger="v0002", challenger_score=None if b is None else int(b))
        )


def test_drift_is_by_basis_of_one_champion_since_a_time(log):
    rng = np.random.default_rng(3)
    reference = score_counts(rng.normal(580, 50, 5_000).clip(300, 850).round())
    for score in rng.normal(580, 50, 300).clip(300, 850).round():
        log.record(replace(ONE, champion_score=int(score)))
    for score in rng.normal(520, 50, 300).clip(300, 850).round():
        log.record(replace(ONE, basis="bank_only", champion_score=int(score)))
    log.record(replace(ONE, champion="v0000"))
    log.record(replace(ONE, at=AT - DAY))
    found = log.drift("v0001", {"joint": reference, "bank_only": reference}, AT)
    assert {basis: each.verdict for basis, each in found.items()} == {
        "joint": Verdict.STABLE,
        "bank_only": Verdict.DRIFTED,
    }
    assert [each.rows for each in found.values()] == [300, 300]
    assert log.drift("v0009", {"joint": reference}, AT)["joint"].verdict is Verdict.TOO_FEW


def test_a_shadow_is_compared_as_numpy_would(log):
    rng = np.random.default_rng(4)
    champion = rng.integers(500, 580, 400)
    challenger = champion + rng.integers(-20, 30, 400)
    pairs(log, champion, challenger)
    got = log.shadow("v0001", "v0002", 540, AT)
    difference = challenger - champion
    assert (got.rows, got.failed) == (400, 0)
    assert got.mean_difference == pytest.approx(difference.mean())
    assert got.sd_difference == pytest.approx(difference.std(ddof=1))
    assert got.correlation == pytest.approx(np.corrcoef(champion, challenger)[0, 1])
    assert got.swap_in == int(((champion < 540) & (challenger >= 540)).sum()) > 0
    assert got.swap_out == int(((champion >= 540) & (challenger < 540)).sum()) > 0
    assert got.equal_decisions == pytest.approx(1 - (got.swap_in + got.swap_out) / 400)


def test_failures_are_counted_and_nothing_is_not_zero(log):
    assert log.shadow("v0001", "v0002", 540, AT) == Shadow(0, 0)
    log.record(ONE)
    pairs(log, [600, 610], [None, None])
    assert log.shadow("v0001", "v0002", 540, AT) == Shadow(0, 2)
    pairs(log, [600], [605])
    one = log.shadow("v0001", "v0002", 540, AT)
    assert (one.rows, one.failed, one.mean_difference, one.sd_difference, one.correlation) == (1, 2, 5.0, None, None)


def test_no_subject_is_on_record(tmp_path, log):
    log.record(ONE)
    with sqlite3.connect(tmp_path / "registry" / "credit" / "scores.db") as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(scores)")]
    db.close()
    assert names == ["at_us", "bank_id", "basis", "champion", "champion_score", "challenger", "challenger_score"]


def test_threads_and_a_second_process_write_at_once(tmp_path, log):
    other = ScoreLog(tmp_path / "registry" / "credit" / "scores.db")
    threads = [
        threading.Thread(target=lambda to=to: [to.record(ONE) for _ in range(50)]) for to in (log, log, other, other)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    other.close()
    assert log.drift("v0001", {"joint": (1,) * 12}, AT)["joint"].rows == 200


def test_a_foreign_file_is_not_a_log(tmp_path):
    (tmp_path / "scores.db").write_bytes(b"not a database at all, and long enough to be looked at" * 40)
    with pytest.raises(CorruptData):
        ScoreLog(tmp_path / "scores.db")
