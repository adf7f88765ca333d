"""After an answer: whatever goes wrong with the challenger or the log is counted and not felt."""

import pytest
from hand_made import AT, BareRegistry, governed

from federated.registry.decisions import Act
from federated.registry.lifecycle import APPROVAL_DAYS, Role
from federated.registry.monitoring import Answered, Shadow
from federated.registry.oversight import Oversight
from federated.serving.recording import Recorder

ACT = Act("bank-gusu", AT)
ANSWER = Answered(AT, "bank-gusu", "joint", "v0001", 600)


@pytest.fixture
def oversight(tmp_path):
    governance = governed(tmp_path, "v0001", "v0002")
    for version, role in (("v0001", Role.CHAMPION), ("v0002", Role.CHALLENGER)):
        governance.approve(version, ACT)
        governance.appoint(version, role, ACT)
    opened = Oversight(tmp_path, BareRegistry(tmp_path))
    yield opened
    opened.close()


def failing(_):
    raise RuntimeError("no such column")


def test_both_scores_are_logged(oversight):
    asked = []
    Recorder(oversight).record(ANSWER, lambda manifest: asked.append(manifest.version) or 630)
    assert asked == ["v0002"]
    found = oversight.monitoring(AT)
    assert (found.shadow.rows, found.shadow.mean_difference) == (1, 30.0)
    assert found.drift["joint"].rows == 1


def test_a_challenger_that_raises_is_counted(oversight):
    Recorder(oversight).record(ANSWER, failing)
    assert oversight.monitoring(AT).shadow == Shadow(0, 1)


def test_a_challenger_whose_manifest_was_exchanged_is_counted(oversight, tmp_path):
    (tmp_path / "registry" / "credit" / "v0002" / "manifest.json").write_text("{}")
    Recorder(oversight).record(ANSWER, lambda _: 630)
    assert oversight.monitoring(AT).shadow == Shadow(0, 1)


def test_a_challenger_whose_approval_lapsed_is_not_asked(oversight):
    late = AT.replace(year=AT.year + 1, day=AT.day + 1)
    assert (late - AT).days > APPROVAL_DAYS
    Recorder(oversight).record(Answered(late, "bank-gusu", "joint", "v0001", 600), failing)
    assert oversight.monitoring(late).shadow == Shadow(0, 0)


def test_a_log_that_cannot_be_written_is_not_felt(oversight):
    oversight.scores.close()
    Recorder(oversight).record(ANSWER, lambda _: 630)
