"""What a firm may know and do about itself: its consents, who asked and what was used, and withdrawal.

征信业管理条例 articles 17 and 18: a subject may look into its own record, and inquiries need its consent; PIPL articles
15 and 45: consent may be withdrawn, and one's data consulted. A firm acts through its own key, never through a bank's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from credit_api.app.errors import Forbidden
from credit_api.app.wiring import Parts
from credit_api.http.auth.principal import Principal
from federated.consent.instants import to_micros
from federated.consent.record import ConsentRecord
from federated.consent.uses import Use
from federated.errors import ConsentMissing, NodeUnavailable
from financing.base.storage.paging import ALL, Page, Window, page_of_rows
from financing.lending.unit import UnitOfWork

# Who told of a withdrawal, where it was not a bank.
SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One use of a subject's data, and the organisation at whose node it happened."""

    held_by: str
    use: Use


def uses_of(parts: Parts, subject_id: str, window: Window = ALL) -> tuple[Page[NodeUse], tuple[str, ...]]:
    """What all nodes did with a subject's data and refused, newest first; and the nodes that cannot tell now."""
    by_node, silent = parts.network.uses_of(subject_id)
    recorded = sorted((NodeUse(node, use) for node, uses in by_node.items() for use in uses), key=_newest_first)
    return page_of_rows(recorded, _newest_first, window), silent


def _newest_first(each: NodeUse) -> tuple[int, int, str]:
    return -to_micros(each.use.at), -each.use.number, each.held_by


def own_subject(parts: Parts, principal: Principal) -> str:
    """The id under which banks know the calling firm. Raises `Forbidden` for an organisation that nobody scores."""
    with parts.reading() as connection:
        subject = UnitOfWork(connection).organisations.get(principal.organisation_id).subject_id
    if subject is None:
        raise Forbidden("this organisation is no bank's customer under a subject id", kind=principal.kind)
    return subject


def consents_of(parts: Parts, subject_id: str, window: Window = ALL) -> Page[ConsentRecord]:
    """A subject's consents towards all banks, by bank and id; banks beyond the window are not asked.

    Raises `NodeUnavailable` if a bank's node cannot answer.
    """
    network = parts.network
    given = (record for bank in sorted(network.bank_ids) for record in network.consents_of(subject_id, bank))
    return page_of_rows(given, lambda record: (record.bank_id, record.consent_id), window)


def withdraw_own(parts: Parts, subject_id: str, consent_id: str, at: datetime, signature: bytes = b"") -> ConsentRecord:
    """Withdraw one of the subject's own consents everywhere, whatever other banks' nodes do meanwhile.

    With the subject's `signature` every node keeps the proof; without, the call itself is on record as the subject's.
    Raises `ConsentMissing`, `ConsentSignatureInvalid`, and `NodeUnavailable` if the consent may be at a bank whose node
    does not answer.
    """
    network = parts.network
    silent = [*network.broken_ids]
    for bank in network.bank_ids:
        try:
            if any(record.consent_id == consent_id for record in network.consents_of(subject_id, bank)):
                return network.withdraw_consent(consent_id, bank, at, by=SUBJECT, signature=signature)
        except NodeUnavailable:
            silent.append(bank)
    if silent:
        raise NodeUnavailable(f"no such consent was found; {', '.join(silent)} cannot be asked", node=silent[0])
    raise ConsentMissing("no such consent of this subject", consent_id=consent_id)
