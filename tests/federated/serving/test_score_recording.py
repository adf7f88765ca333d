"""After an answer: whatever goes wrong with the challenger or the log is counted and not felt."""

import threading

import pytest
from hand_made import AT, BareRegistry, appointed, approved, governed

from federated.governance.decisions import Act
from federated.governance.lifecycle import APPROVAL_DAYS, Role
from federated.governance.monitoring.score_log import Answered, Shadow
from federated.governance.oversight import Oversight
from federated.serving import recording
from federated.serving.recording import Recorder

ACT = Act("bank-gusu", AT)
ANSWER = Answered(AT, "bank-gusu", "joint", "v0001", 600)


@pytest.fixture
def oversight(tmp_path):
    governance = governed(tmp_path, "v0001", "v0002")
    for version in ("v0001", "v0002"):
        approved(governance, version, ACT.at)
    appointed(governance, "v0001", ACT.at)
    governance.appoint("v0002", Role.CHALLENGER, ACT)
    opened = Oversight(tmp_path, BareRegistry(tmp_path))
    yield opened
    opened.close()


def record(oversight, answered, challenge):
    """Record one answer and wait for its shadow."""
    recorder = Recorder(oversight)
    recorder.record(answered, challenge)
    recorder.settle()
    recorder.close()


def failing(_):
    raise RuntimeError("no such column")


def test_both_scores_are_logged(oversight):
    asked = []
    record(oversight, ANSWER, lambda manifest: asked.append(manifest.version) or 630)
    assert asked == ["v0002"]
    found = oversight.monitoring(AT)
    assert (found.shadow.rows, found.shadow.mean_difference) == (1, 30.0)
    assert found.drift["joint"].rows == 1


def test_a_challenger_that_raises_is_counted(oversight):
    record(oversight, ANSWER, failing)
    assert oversight.monitoring(AT).shadow == Shadow(0, 1)


def test_a_challenger_whose_manifest_was_exchanged_is_counted(oversight, tmp_path):
    (tmp_path / "registry" / "credit" / "v0002" / "manifest.json").write_text("{}")
    record(oversight, ANSWER, lambda _: 630)
    assert oversight.monitoring(AT).shadow == Shadow(0, 1)


def test_a_challenger_whose_approval_lapsed_is_not_asked(oversight):
    late = AT.replace(year=AT.year + 1, day=AT.day + 1)
    assert (late - AT).days > APPROVAL_DAYS
    record(oversight, Answered(late, "bank-gusu", "joint", "v0001", 600), failing)
    assert oversight.monitoring(late).shadow == Shadow(0, 0)


def test_a_log_that_cannot_be_written_is_not_felt(oversight):
    oversight.scores.close()
    record(oversight, ANSWER, lambda _: 630)


def test_a_slow_challenger_keeps_no_answer_waiting_and_is_left_behind_under_load(oversight, monkeypatch):
    monkeypatch.setattr(recording, "WAITING_MAX", 2)
    recorder, gate, asked = Recorder(oversight), threading.Event(), []

    def slow(manifest):
        asked.append(manifest.version)
        gate.wait(30)
        return 630

    for _ in range(5):
        recorder.record(ANSWER, slow)
    # Three rows went in without the challenger while it was still at the first query.
    assert oversight.monitoring(AT).drift["joint"].rows == 3
    assert len(asked) <= 1
    gate.set()
    recorder.settle()
    found = oversight.monitoring(AT)
    assert (found.drift["joint"].rows, found.shadow.rows, found.shadow.failed) == (5, 2, 0)
    recorder.close()
    recorder.record(ANSWER, slow)
    assert len(asked) == 2
