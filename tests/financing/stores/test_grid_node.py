"""A grid company's node keeps what it was given: once, unchanged, and with corrections beside it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from financing.base.errors import DuplicateReading, NotFound, ReadingRejected
from financing.base.quantities import Period
from financing.base.signing import Signature
from financing.base.storage.database import open_engine
from financing.registry.metering.node.store import SqlGridNode
from financing.registry.metering.node.stores import GridNodes
from financing.registry.metering.readings import ReadingBatch

AT = datetime(2026, 5, 2, tzinfo=UTC)
START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = Period(START, START + timedelta(days=1))
SIGNED = Signature("M1", "0" * 64, "1" * 128)


@pytest.fixture
def node(database_url):
    opened = SqlGridNode(open_engine(database_url), "grid-sip")
    yield opened
    opened.close()


def batch(values, *, hour=0, register=None):
    starts = np.datetime64("2026-05-01T00:00:00", "s") + (hour + np.arange(len(values))) * np.timedelta64(3600, "s")
    return ReadingBatch("M1", 60, starts, np.array(values), None, register)


def test_the_same_batch_again_is_a_no_op_that_says_so(node):
    first = node.add(batch([1, 2, 3]), SIGNED, reason="", at=AT)
    again = node.add(batch([1, 2, 3]), SIGNED, reason="", at=AT)
    assert (first.deduplicated, again.deduplicated) == (False, True)
    assert first.batch_id == again.batch_id == node.last_batch("M1")
    assert node.summary() == (3, 6)
    with pytest.raises(DuplicateReading):
        node.add(batch([1, 2, 4]), SIGNED, reason="", at=AT)
    with pytest.raises(ReadingRejected):
        node.add(batch([]), SIGNED, reason="", at=AT)
    assert node.summary() == (3, 6)


def test_a_correction_is_a_new_revision_and_the_old_one_stays(node):
    before = node.add(batch([1, 2, 3]), SIGNED, reason="", at=AT)
    node.add(batch([9], hour=1), SIGNED, reason="transformer ratio", at=AT)
    latest = node.readings("M1", 60, DAY)
    assert latest.generation_wh.tolist() == [1, 9, 3]
    then = node.readings("M1", 60, DAY, through_batch=before.batch_id)
    assert then.generation_wh.tolist() == [1, 2, 3]
    assert then.commitment() == before.commitment
    assert node.corrected_after("M1", before.batch_id, DAY)
    assert not node.corrected_after("M1", node.last_batch("M1"), DAY)
    assert node.summary() == (3, 13)
    assert dict(node.daily_wh(("M1",), 30)) == {20574: 13}
    with pytest.raises(ReadingRejected):
        node.add(batch([9], hour=7), SIGNED, reason="never read", at=AT)


def test_registers_and_spans_come_back(node):
    node.add(batch([1, 2], register=np.array([10, 12])), SIGNED, reason="", at=AT)
    assert node.readings("M1", 60, DAY).register_wh.tolist() == [10, 12]
    span = node.span("M1")
    assert (span.count, span.first, span.last) == (2, START, START + timedelta(hours=1))
    assert node.span("nobody").first is None
    assert node.signature_of(1) == SIGNED
    with pytest.raises(NotFound):
        node.signature_of(99)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE interval_reading SET energy_wh = 5",
        "DELETE FROM interval_reading",
        "UPDATE reading_batch SET commitment = 'x'",
        "DELETE FROM reading_batch",
        "INSERT INTO interval_reading VALUES ('M1', 3600, 0, -1, NULL, NULL, 1)",
        "INSERT INTO interval_reading VALUES ('M1', 3600, 0, 1, 2, NULL, 1)",
    ],
)
def test_the_node_itself_refuses_changes(node, statement):
    node.add(batch([1, 2]), SIGNED, reason="", at=AT)
    with pytest.raises(DBAPIError), node._engine.begin() as connection:
        connection.execute(text(statement))


def test_every_grid_company_has_a_store_of_its_own(tmp_path):
    nodes = GridNodes(tmp_path / "nodes", {"grid-b": f"sqlite:///{tmp_path / 'elsewhere.db'}"})
    nodes.of("grid-a").add(batch([1]), SIGNED, reason="", at=AT)
    assert nodes.of("grid-b").summary() == (0, 0)
    assert (tmp_path / "nodes" / "grid-a.db").exists()
    assert (tmp_path / "elsewhere.db").exists()
    for name in ("", "../x", "a/b"):
        with pytest.raises(NotFound):
            nodes.of(name)
    nodes.close()
