"""The chain of the audit trail on both databases: nothing is edited, deleted, moved or cut off unnoticed."""

from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from soak import sized
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from credit_api.app.database import migrate
from credit_api.app.errors import AuditTampered
from credit_api.audit import store as store_module
from credit_api.audit import trail as trail_module
from credit_api.audit.anchors import anchors
from credit_api.audit.model import AuditEvent, AuditHead
from credit_api.audit.store import AuditStore, audit_t
from credit_api.audit.trail import AuditTrail
from credit_api.audit.verifying import verify_trail
from financing.base.errors import FinancingError, LedgerTampered
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.entries import EntryKind
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

AT = datetime(2026, 11, 22, tzinfo=UTC)
EVENTS, ANCHORED, EVERY = 24, 16, 4


class Chain:
    """Two dozen events of two organisations, anchored in the ledger after every fourth of the first sixteen."""

    def __init__(self, url, monkeypatch):
        self.engine = open_engine(url)
        migrate(self.engine)
        self.writer = Writer(self.engine, UnitOfWork)
        self.trail = AuditTrail(self.writer)
        monkeypatch.setattr(trail_module, "ANCHOR_EVERY", EVERY)
        self.writer.execute(lambda unit: unit.organisations.add(Organisation("x", "exchange", "x", "x"), AT))
        for number in range(1, ANCHORED + 1):
            self.trail.note(event(number))
        monkeypatch.setattr(trail_module, "ANCHOR_EVERY", 1_000)
        for number in range(ANCHORED + 1, EVENTS + 1):
            self.trail.note(event(number))

    @contextmanager
    def unguarded(self):
        """A connection on which no trigger speaks up; what is changed there is rolled back."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='trigger'").all():
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
            else:
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection
            connection.rollback()

    def reading(self, look):
        with self.engine.connect() as connection:
            return look(UnitOfWork(connection))

    def close(self):
        self.writer.close()
        self.engine.dispose()


def event(number):
    return AuditEvent(
        at=AT + timedelta(seconds=number),
        action=f"act_{number % 7}",
        outcome=("committed", "refused", "read")[number % 3],
        organisation_id=("bank-a", "dev-b")[number % 2],
        person=f"p{number % 5}",
        credential="key",
        concerns_id=f"s{number % 4}",
        object_id=f"o{number}",
        code="not_found" if number % 3 == 1 else "",
        request_id=f"r{number}",
    )


@pytest.fixture
def chain(books_url, monkeypatch):
    made = Chain(books_url, monkeypatch)
    yield made
    made.close()


def flipped(name, value, random):
    """Another value that the column takes."""
    if name == "at":
        return value + timedelta(microseconds=random.randrange(1, 10**9))
    if name in {"hash", "previous_hash"}:
        place = random.randrange(64)
        return value[:place] + random.choice([c for c in "0123456789abcdef" if c != value[place]]) + value[place + 1 :]
    if name == "outcome":
        return random.choice([c for c in ("committed", "replayed", "refused", "failed", "read") if c != value])
    return value + 1 if isinstance(value, int) else f"{value}x"


def edit(connection, random):
    seq = random.randrange(1, EVENTS + 1)
    row = connection.execute(select(audit_t).where(audit_t.c.seq == seq)).one()
    name = random.choice([*(each.name for each in fields(AuditEvent)), "hash", "previous_hash"])
    new = flipped(name, getattr(row, name), random)
    connection.execute(update(audit_t).where(audit_t.c.seq == seq).values({name: new}))


def take_out(connection, random):
    """A row that others follow; what is cut off the end is `cut_off`."""
    connection.execute(delete(audit_t).where(audit_t.c.seq == random.randrange(1, EVENTS)))


def swap(connection, random):
    """Two rows change places, hashes and all."""
    first, second = random.sample(range(1, EVENTS + 1), 2)
    rows = {row.seq: row._asdict() for row in connection.execute(select(audit_t))}
    connection.execute(delete(audit_t).where(audit_t.c.seq.in_([first, second])))
    moved = [rows[first] | {"seq": second}, rows[second] | {"seq": first}]
    connection.execute(insert(audit_t), moved)


def renumber(connection, random):
    """A row leaves its place for the end."""
    connection.execute(update(audit_t).where(audit_t.c.seq == random.randrange(1, EVENTS)).values(seq=EVENTS + 1))


def cut_off(connection, random):
    """The end, from before the last anchor on."""
    connection.execute(delete(audit_t).where(audit_t.c.seq >= random.randrange(1, ANCHORED + 1)))


MUTATIONS = (edit, edit, edit, take_out, swap, renumber, cut_off)


def test_mutations_at_random_are_all_found(chain):
    random, done = Random(23), set()
    whole = chain.reading(verify_trail)
    assert (whole.head.seq, whole.anchors, whole.loose) == (EVENTS, 4, EVENTS - ANCHORED)
    with chain.unguarded() as connection:
        unit = UnitOfWork(connection)
        for _ in range(sized(200, 2_000)):
            mutation = random.choice(MUTATIONS)
            with connection.begin_nested() as savepoint:
                mutation(connection, random)
                with pytest.raises(AuditTampered):
                    verify_trail(unit)
                savepoint.rollback()
            done.add(mutation)
        assert verify_trail(unit) == whole
    assert done == set(MUTATIONS)


def test_what_is_cut_off_after_the_last_anchor_shows_against_an_exported_head(chain):
    head = chain.reading(lambda unit: AuditStore(unit.connection).head())
    with chain.unguarded() as connection:
        for kept in reversed(range(ANCHORED, EVENTS)):
            connection.execute(delete(audit_t).where(audit_t.c.seq > kept))
            assert verify_trail(UnitOfWork(connection)).head.seq == kept
            with pytest.raises(AuditTampered, match="exported"):
                verify_trail(UnitOfWork(connection), head)


def test_a_trail_that_was_written_anew_shows_against_the_anchors_and_the_exported_head(chain):
    head = chain.reading(lambda unit: AuditStore(unit.connection).head())
    with chain.unguarded() as connection:
        connection.execute(delete(audit_t))
        for number in range(1, EVENTS + 1):
            AuditStore(connection).add(event(number + 1))
        with pytest.raises(AuditTampered, match="ledger holds another head"):
            verify_trail(UnitOfWork(connection))
        connection.execute(text("DELETE FROM entry"))
        with pytest.raises(AuditTampered, match="exported head has another hash"):
            verify_trail(UnitOfWork(connection), head)


def test_the_first_break_is_named(chain):
    with chain.unguarded() as connection:
        connection.execute(update(audit_t).where(audit_t.c.seq.in_([20, 9])).values(person="nobody"))
        with pytest.raises(AuditTampered, match="edited") as found:
            verify_trail(UnitOfWork(connection))
        assert found.value.context == {"seq": 9}
        connection.execute(delete(audit_t).where(audit_t.c.seq == 4))
        with pytest.raises(AuditTampered, match="deleted") as found:
            verify_trail(UnitOfWork(connection))
        assert found.value.context == {"seq": 4, "next_seq": 5}


def test_an_anchor_that_was_edited_breaks_the_ledger(chain):
    with chain.unguarded() as connection:
        unit = UnitOfWork(connection)
        last = list(anchors(unit))[-1]
        changed = {"old": f"audit:{last.seq}:{last.hash}", "new": f"audit:{last.seq}:{'0' * 64}"}
        connection.execute(text("UPDATE entry SET reference = :new WHERE reference = :old"), changed)
        with pytest.raises(LedgerTampered):
            unit.ledger.verify()
        connection.execute(text("UPDATE entry SET reference = 'audit:nothing' WHERE reference = :new"), changed)
        with pytest.raises(LedgerTampered):
            verify_trail(unit)


COPIED = (
    "at, organisation_id, person, credential, concerns_id, action, object_id, outcome, code, request_id, count, "
    "{link}, hash FROM audit_event WHERE seq = {last}"
)
FORBIDDEN = (
    "UPDATE audit_event SET person = 'x' WHERE seq = 3",
    "UPDATE audit_event SET seq = 99 WHERE seq = {last}",
    "DELETE FROM audit_event WHERE seq = {last}",
    "DELETE FROM audit_event",
    f"INSERT INTO audit_event SELECT {{last}} + 2, {COPIED.format(link='hash', last='{last}')}",
    f"INSERT INTO audit_event SELECT {{last}} + 1, {COPIED.format(link='previous_hash', last='{last}')}",
    "UPDATE entry SET reference = 'x' WHERE kind = 'audit_anchor'",
    "DELETE FROM entry WHERE kind = 'audit_anchor'",
)


def test_the_schema_refuses(chain):
    for statement in FORBIDDEN:
        with pytest.raises(DBAPIError):
            chain.writer.execute(lambda unit, each=statement: unit.connection.execute(text(each.format(last=EVENTS))))
    assert chain.reading(verify_trail).head.seq == EVENTS


def test_no_other_entry_moves_nothing(chain):
    with pytest.raises(DBAPIError):
        chain.writer.execute(lambda unit: unit.ledger.post_note(EntryKind.TRADE, "t", at=AT, actor_id="x"))
    assert chain.reading(lambda unit: unit.ledger.verify()).entry_id == 4


def test_the_walk_has_a_stride(chain, monkeypatch):
    """More events than are in memory at once, at every place where a stride may end."""
    for stride in (1, 7, EVENTS - 1, EVENTS, EVENTS + 1):
        monkeypatch.setattr(store_module, "STRIDE", stride)
        monkeypatch.setattr(
            store_module,
            "_AFTER",
            select(audit_t).where(audit_t.c.seq > text(":after")).order_by(audit_t.c.seq).limit(stride),
        )
        assert chain.reading(verify_trail).head.seq == EVENTS
    with pytest.raises(AuditTampered):
        chain.reading(lambda unit: verify_trail(unit, AuditHead(EVENTS + 1, "0" * 64)))


def test_an_event_goes_with_its_transaction(chain):
    """What is refused takes its event back; the next event has its number."""

    def refused(unit):
        chain.trail.record(unit, event(EVENTS + 1))
        raise LedgerTampered("no")

    with pytest.raises(FinancingError):
        chain.writer.execute(refused)
    chain.trail.note(event(EVENTS + 2))
    last = chain.reading(lambda unit: list(AuditStore(unit.connection).walk()))[-1]
    assert (last.seq, last.object_id) == (EVENTS + 1, f"o{EVENTS + 2}")


def test_the_head_is_anchored_at_a_stop_and_after_an_hour_if_anything_was_added(chain):
    chain.trail.tick(AT)
    chain.trail.tick(AT + timedelta(minutes=59))
    assert chain.reading(verify_trail).loose == EVENTS - ANCHORED
    chain.trail.tick(AT + timedelta(minutes=60))
    assert chain.reading(verify_trail).loose == 0
    entries = chain.reading(lambda unit: unit.ledger.head())
    chain.trail.tick(AT + timedelta(minutes=180))
    chain.trail.close(AT + timedelta(minutes=181))
    assert chain.reading(lambda unit: unit.ledger.head()) == entries
    chain.trail.note(event(EVENTS + 1))
    chain.trail.close(AT + timedelta(minutes=182))
    found = chain.reading(verify_trail)
    assert (found.head.seq, found.loose) == (EVENTS + 1, 0)
