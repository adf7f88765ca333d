"""A consent at all nodes of a network: recorded and withdrawn in an order that fails closed, and who used what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from federated.consent.record import ConsentRecord, DataScope, require_same_terms
from federated.consent.revocations import require_not_ended
from federated.consent.signature import require_signed
from federated.consent.uses import Use
from federated.errors import ConsentMissing, InvalidConsent, NodeUnavailable, UseLogTampered
from federated.nodes.bank import BankNode
from federated.serving.parties import GridParty


def record(bank: BankNode, grids: Mapping[str, GridParty], given: ConsentRecord) -> ConsentRecord:
    """Record a consent that its subject signed at the bank's node and at the grid company's that it names.

    No other node hears of it. The grid company is written first: if that is interrupted the bank has no consent and a
    score is refused. Recording the same terms again changes nothing, least of all a withdrawal. Raises
    `ConsentSignatureInvalid`, `ConsentConflict`, `NodeUnavailable`, and `InvalidConsent` for electricity data of a
    grid company that is none of the network's or is not named; nothing is stored then.
    """
    named = [grids[given.grid_id]] if given.grid_id in grids else []
    nodes: list[BankNode | GridParty] = [bank, *named]
    # A conflict at either is found before any write.
    for node in nodes:
        require_signed(given, node.authority)
    require_not_ended(given, bank.store.ended_keys, bank.now())
    known = [node.consent(given.consent_id) for node in nodes]
    for each in known:
        if each is not None:
            require_same_terms(each, given)
    if known[0] is None and DataScope.ELECTRICITY in given.scope and not named:
        whose = f"{given.grid_id} is" if given.grid_id else "a consent to electricity data that names no company names"
        raise InvalidConsent(f"{whose} no grid company of this network", field="grid_id")
    for grid in named:
        grid.record_consent(given)
    return bank.record_consent(given)


def holders(given: ConsentRecord, grids: Iterable[str]) -> tuple[str, ...]:
    """The grid companies where a consent lies: whom it names; each, of the form before; none without electricity."""
    if DataScope.ELECTRICITY not in given.scope:
        return ()
    return (given.grid_id,) if given.grid_id else tuple(grids)


def withdraw(
    bank: BankNode,
    grids: Mapping[str, GridParty],
    absent: Iterable[str],
    consent_id: str,
    at: datetime,
    by: str,
    signature: bytes,
) -> ConsentRecord:
    """Withdraw a consent at the bank first: its refusal alone already stops every score.

    Then where it lies (`holders`), and nowhere else. A grid company that does not answer, or is among the `absent`, is
    told once it does (`deliver`). Raises `ConsentMissing`, `InvalidTime`, `ConsentSignatureInvalid`.
    """
    told = holders(bank.own_consent(consent_id), (*grids, *absent))
    withdrawn = bank.withdraw_own(consent_id, at, by, signature, told)
    deliver(bank, grids)
    return withdrawn


def deliver(bank: BankNode, grids: Mapping[str, GridParty]) -> None:
    """Tell grid companies of the withdrawals at a bank that they have not heard of yet."""
    told = []
    for peer, record, signature in bank.undelivered():
        grid = grids.get(peer)
        if grid is None or record.withdrawn_at is None:
            continue
        with suppress(NodeUnavailable, ConsentMissing):
            grid.withdraw_consent(record.consent_id, bank.org_id, record.withdrawn_at, record.withdrawn_by, signature)
            told.append((peer, record.consent_id))
    if told:
        bank.settle(told)


def uses_of(nodes: Iterable[BankNode | GridParty], subject_id: str) -> tuple[dict[str, list[Use]], list[str]]:
    """What each node did with a subject's data, newest first, and the nodes that cannot tell or were tampered with."""
    uses: dict[str, list[Use]] = {}
    silent = []
    for node in nodes:
        try:
            uses[node.org_id] = node.uses_of(subject_id)
        except (NodeUnavailable, UseLogTampered):
            silent.append(node.org_id)
    return uses, silent
