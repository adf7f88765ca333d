"""A node's ledger never overspends, survives being killed, and shows what was changed in it."""

import os
import signal
import sqlite3
import subprocess
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ready_process import python

from federated.errors import PrivacyBudgetExceeded, PrivacyBudgetMissing, PrivacyLedgerCorrupt, PrivacyPlanRefused
from federated.privacy.budget import FIRST, Budget, PrivacyLedger
from federated.privacy.differential.accountant import Release, epsilon_of

AT = datetime(2026, 11, 25, tzinfo=UTC)
DELTA = 1e-5


def ledger(path, epsilon=4.0):
    found = PrivacyLedger(path / "bank.privacy.db")
    found.grant("file", Budget(epsilon, DELTA), AT)
    return found


def test_runs_are_composed_and_the_one_too_many_is_refused(tmp_path):
    book = ledger(tmp_path)
    one = Release(3.0)
    costs = [book.reserve(f"run-{i}", "file", [one], AT).epsilon for i in range(5)]
    assert costs[0] == epsilon_of([one], DELTA)
    assert costs[4] < 5 * costs[0]
    assert costs[4] == pytest.approx(epsilon_of([one] * 5, DELTA))
    with pytest.raises(PrivacyBudgetExceeded) as refused:
        book.reserve("run-5", "file", [Release(1.2)], AT)
    assert refused.value.context["would_be"] > 4.0
    (account,) = book.accounts()
    assert (account.epsilon, len(account.runs)) == (costs[4], 5)
    assert account.left == 4.0 - costs[4]
    book.grant("file", Budget(8.0, DELTA), AT)
    book.reserve("run-5", "file", [Release(1.2)], AT)


def test_nothing_is_spent_without_a_grant_or_twice_under_one_name(tmp_path):
    book = ledger(tmp_path)
    with pytest.raises(PrivacyBudgetMissing):
        book.reserve("run", "another file", [Release(3.0)], AT)
    book.reserve("run", "file", [Release(9.0)], AT)
    with pytest.raises(PrivacyPlanRefused):
        book.reserve("run", "file", [Release(9.0)], AT)
    with pytest.raises(PrivacyPlanRefused):
        book.reserve("empty", "file", [], AT)
    with pytest.raises(PrivacyPlanRefused):
        Budget(float("inf"), DELTA)
    assert PrivacyLedger(tmp_path / "none.privacy.db").accounts() == ()
    assert PrivacyLedger(tmp_path / "none.privacy.db").head() == FIRST


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.8, 12.0), min_size=2, max_size=12), st.floats(0.5, 6.0))
def test_whatever_is_asked_the_budget_holds(tmp_path_factory, multipliers, epsilon):
    book = ledger(tmp_path_factory.mktemp("ledger"), epsilon)
    kept = []
    for i, multiplier in enumerate(multipliers):
        fits = epsilon_of([*kept, Release(multiplier)], DELTA) <= epsilon
        try:
            book.reserve(f"run-{i}", "file", [Release(multiplier)], AT)
        except PrivacyBudgetExceeded:
            assert not fits
        else:
            assert fits
            kept.append(Release(multiplier))
    assert book.accounts()[0].epsilon == epsilon_of(kept, DELTA) <= epsilon


def test_racing_threads_cannot_overspend(tmp_path):
    book = ledger(tmp_path)
    release = Release(4.0)
    most = max(n for n in range(40) if epsilon_of([release] * n, DELTA) <= 4.0)
    start, done = threading.Barrier(12), []

    def run(worker):
        start.wait()
        for i in range(3):
            try:
                PrivacyLedger(tmp_path / "bank.privacy.db").reserve(f"run-{worker}-{i}", "file", [release], AT)
                done.append(worker)
            except PrivacyBudgetExceeded:
                pass

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (account,) = book.accounts()
    assert len(done) == len(account.runs) == most
    assert account.epsilon <= 4.0


SPENDER = """
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from federated.privacy.budget import PrivacyLedger
from federated.privacy.differential.accountant import Release
book = PrivacyLedger(Path(sys.argv[1]))
print(os.getpid(), flush=True)
for i in range(500):
    book.reserve(f"run-{i}", "file", [Release(200.0)], datetime(2026, 11, 25, tzinfo=UTC))
    print(i, flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_spent(tmp_path):
    book = ledger(tmp_path)
    for number, told in enumerate((3, 7)):
        path = tmp_path / f"killed-{number}.privacy.db"
        PrivacyLedger(path).grant("file", Budget(4.0, DELTA), AT)
        process = subprocess.Popen([python(), "-c", SPENDER, str(path)], stdout=subprocess.PIPE, text=True)
        spender = int(process.stdout.readline())
        heard = [process.stdout.readline() for _ in range(told)]
        os.kill(spender, signal.SIGKILL)
        heard += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        (account,) = PrivacyLedger(path).accounts()
        # The one that was being written may be there as well: it counts as spent then.
        assert len(account.runs) - sum(line.endswith("\n") for line in heard) in (0, 1)
        PrivacyLedger(path).reserve("after", "file", [Release(200.0)], AT)
    assert book.accounts()[0].runs == ()


# One interpreter that becomes three processes, as loading what accounts for a run takes longer than the race.
RACERS = """
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from federated.errors import PrivacyBudgetExceeded
from federated.privacy.budget import PrivacyLedger
from federated.privacy.differential.accountant import Release
held, go = os.pipe()
for racer in range(3):
    if not os.fork():
        os.close(go)
        os.read(held, 1)
        book = PrivacyLedger(Path(sys.argv[1]))
        try:
            for i in range(99):
                book.reserve(f"run-{racer}-{i}", "file", [Release(4.0)], datetime(2026, 11, 25, tzinfo=UTC))
        except PrivacyBudgetExceeded:
            os._exit(0)
        os._exit(1)
os.close(go)
sys.exit(max(os.wait()[1] for _ in range(3)) > 0)
"""


def test_racing_processes_cannot_overspend(tmp_path):
    book = ledger(tmp_path)
    most = max(n for n in range(40) if epsilon_of([Release(4.0)] * n, DELTA) <= 4.0)
    subprocess.run([python(), "-c", RACERS, str(tmp_path / "bank.privacy.db")], check=True)
    (account,) = book.accounts()
    assert len(account.runs) == most


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET body = replace(body, '9.0', '900.0') WHERE number = 2",
        "DELETE FROM events WHERE number = 2",
        "UPDATE events SET body = replace(body, '4.0', '40.0') WHERE number = 1",
        "INSERT INTO events VALUES (9, '{}', 'x')",
    ],
)
def test_tampering_is_found_and_stops_spending(tmp_path, change):
    book = ledger(tmp_path)
    for i in range(3):
        book.reserve(f"run-{i}", "file", [Release(9.0)], AT)
    path = tmp_path / "bank.privacy.db"
    database = sqlite3.connect(path)
    if not change.startswith("INSERT"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            database.execute(change)
    for trigger in ("events_are_final", "events_stay"):
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute(change)
    database.commit()
    database.close()
    for act in (book.accounts, book.head, lambda: book.reserve("next", "file", [Release(9.0)], AT)):
        with pytest.raises(PrivacyLedgerCorrupt):
            act()


def test_a_file_that_is_no_ledger_stops_spending(tmp_path):
    path = tmp_path / "bank.privacy.db"
    path.write_bytes(b"not a database, certainly" * 40)
    with pytest.raises(PrivacyLedgerCorrupt):
        PrivacyLedger(path).reserve("run", "file", [Release(9.0)], AT)
