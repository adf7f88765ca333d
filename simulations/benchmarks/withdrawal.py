"""Does a score ever leave after its consent was withdrawn? Many races of a withdrawal against scores in full flight."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import ConsentMissing, ConsentWithdrawn
from federated.nodes.budget import QueryBudget
from federated.serving import Network, ScoreQuery
from simulations.benchmarks.scored_network import scored_network
from simulations.worlds.wallet import Wallet

FIRMS = 400
SCORERS = 2
STAGGERED, STAGGER_S = 50, 1e-4


@dataclass(frozen=True, slots=True)
class WithdrawalRaces:
    """`leaks` counts scores asked for after a withdrawal had returned and yet answered; delays are in milliseconds.

    `scores_in_flight` were answered while the withdrawal was under way, which is allowed. `strangers` is the share of
    the consents that grid companies hold whose subject they do not serve, `strangers_copied` what it would be if each
    held a copy of all. Of `other_bank_asked` questions of the other banks about a customer and its consent, whose ids
    they know, `other_bank_read` were answered.
    """

    races: int
    leaks: int
    scores_in_flight: int
    withdrawal_ms_median: float
    refused_after_ms_worst: float
    strangers: float
    strangers_copied: float
    other_bank_asked: int
    other_bank_read: int


def measure_withdrawal(races: int) -> WithdrawalRaces:
    """Each race: two threads score one customer without pause while a third withdraws the consent."""
    with tempfile.TemporaryDirectory(prefix="tanxin-races-") as folder:
        at = datetime.now(UTC)
        network, tables = scored_network(Path(folder), FIRMS, at)
        row = next(i for i, joint in enumerate(tables.joint) if joint)
        subject, bank = tables.subjects[row], tables.bank_of[row]
        wallet = Wallet.open(Path(folder))
        # The same customer is asked about tens of thousands of times: what races is the consent, not the budget.
        for grid in network.grid_ids:
            network.grid_node(grid).set_budget(QueryBudget(timedelta(days=1), 1 << 40, 1 << 40, 0.0))
        try:
            strangers, copied = _strangers(network)
            answers = [
                answered
                for other in network.bank_ids
                if other != bank
                for answered in _answered(network, other, subject, at)
            ]
            outcomes = [_race(network, wallet, at, subject, bank, number) for number in range(races)]
        finally:
            network.close()
    waits = sorted(outcome.withdrawal_ms for outcome in outcomes)
    return WithdrawalRaces(
        races=races,
        leaks=sum(outcome.leaks for outcome in outcomes),
        scores_in_flight=sum(outcome.in_flight for outcome in outcomes),
        withdrawal_ms_median=waits[len(waits) // 2],
        refused_after_ms_worst=max(outcome.refused_after_ms for outcome in outcomes),
        strangers=strangers,
        strangers_copied=copied,
        other_bank_asked=len(answers),
        other_bank_read=sum(answers),
    )


def _answered(network: Network, other: str, subject: str, at: datetime) -> list[bool]:
    """Which questions about another bank's customer, under the consent that it gave to that bank, are answered."""
    consent_id, node = f"CONS-{subject}", network.bank_node(other)
    questions: list[Callable[[], object]] = [
        lambda: network.score(ScoreQuery(other, subject, consent_id, Purpose.LOAN_REVIEW, datetime.now(UTC))),
        lambda: network.consent(consent_id, other),
        lambda: network.consents_of(subject, other),
        lambda: network.usable_consent(consent_id, other, subject, Purpose.LOAN_REVIEW, at),
        lambda: network.withdraw_consent(consent_id, other, at, by=other),
        lambda: [use for use in node.uses_of(subject) if use.outcome != ConsentMissing.code],
    ]
    return [_told(question) for question in questions]


def _told(question: Callable[[], object]) -> bool:
    try:
        return bool(question())
    except ConsentMissing:
        return False


def _strangers(network: Network) -> tuple[float, float]:
    """Shares of consents about people whom the holder does not serve: as they lie, and if all were copied to all."""
    given = [record for bank in network.bank_ids for record in network.consents(bank, FIRMS)]
    held = strange = strange_copied = 0
    for grid_id in network.grid_ids:
        grid = network.grid_node(grid_id)
        served = grid.store.subject_ids()
        own = [record for record in given if grid.consent(record.consent_id) is not None]
        held += len(own)
        strange += sum(record.subject_id not in served for record in own)
        strange_copied += sum(record.subject_id not in served for record in given)
    return strange / held, strange_copied / (len(given) * len(network.grid_ids))


@dataclass(frozen=True, slots=True)
class _Outcome:
    leaks: int
    in_flight: int
    withdrawal_ms: float
    refused_after_ms: float


def _race(network: Network, wallet: Wallet, at: datetime, subject: str, bank: str, number: int) -> _Outcome:
    draft = ConsentRecord(
        f"RACE-{number}", subject, bank, frozenset(Purpose), frozenset(DataScope), at, at + timedelta(days=30)
    )
    consent = network.record_consent(wallet.sign(wallet.named(draft)))
    returned = threading.Event()
    under_way = threading.Barrier(SCORERS + 1)
    counts = {"leaks": 0, "in_flight": 0}
    refused: list[float] = []
    gate = threading.Lock()

    def score() -> None:
        under_way.wait()
        while True:
            late = returned.is_set()
            query = ScoreQuery(bank, subject, consent.consent_id, Purpose.LOAN_REVIEW, datetime.now(UTC))
            try:
                network.score(query)
            except ConsentWithdrawn:
                with gate:
                    refused.append(time.perf_counter())
                return
            with gate:
                counts["leaks" if late else "in_flight"] += 1

    threads = [threading.Thread(target=score) for _ in range(SCORERS)]
    for thread in threads:
        thread.start()
    under_way.wait()
    # The withdrawal falls on another point of a score each time, before, amid and after the first ones.
    time.sleep(number % STAGGERED * STAGGER_S)
    started = time.perf_counter()
    network.withdraw_consent(consent.consent_id, bank, datetime.now(UTC), by=bank)
    done = time.perf_counter()
    returned.set()
    for thread in threads:
        thread.join()
    worst = max(max(refused) - done, 0.0)
    return _Outcome(counts["leaks"], counts["in_flight"], 1_000 * (done - started), 1_000 * worst)
