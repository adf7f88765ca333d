"""The customer's story in the sandbox: models are appointed, customers consent and are scored, firms are admitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, Purpose
from simulations.worlds.api_client import ApiClient, Refused
from simulations.worlds.names import BANKS, DEVELOPERS, REGISTRY
from simulations.worlds.wallet import Wallet

NO_SUBJECTS: Mapping[str, str] = MappingProxyType({})
CANDIDATES = 24  # customers a bank asks about before it has two firms to lend to


@dataclass(frozen=True, slots=True)
class Firm:
    """A developer and the bank that knows it as a customer; `inquiry_id` is the score that supports its loans."""

    developer: str
    bank: str
    inquiry_id: str


def appoint_models(api: ApiClient) -> None:
    """What the operator trained scores only once every bank that took part has approved it and two have appointed it.

    The first version of a run has exact reasons and becomes champion, the next its challenger.
    """
    bank = BANKS[0]
    appointing = {"champion": BANKS[:2], "challenger": BANKS[:1]}
    waiting = [each["version"] for each in api.every(bank, "/v1/models") if not each["champion"]]
    roles = [] if any(each["champion"] for each in api.every(bank, "/v1/models")) else ["champion"]
    note = "sandbox: held-out figures and model card looked at"
    for version, role in zip(waiting, [*roles, "challenger"], strict=False):
        path = f"/v1/models/{version}"
        for each in BANKS:
            word = {"decision": "approve", "note": note}
            api.post(each, f"{path}/approval", word, key=f"seed:approve:{version}")
        for each in appointing[role]:
            api.post(each, f"{path}/appointment", {"role": role}, key=f"seed:appoint:{version}")


def admit(
    api: ApiClient,
    members: tuple[tuple[str, str, str], ...],
    kind: str,
    wallet: Wallet,
    subjects: Mapping[str, str] = NO_SUBJECTS,
) -> None:
    """Enter organisations in the register and accept their invitations, with a key for each.

    `subjects` are the firms that banks know; each proves it with its subject's key.
    """
    for organisation_id, name_zh, name_en in members:
        body: dict[str, Any] = {
            "organisation_id": organisation_id,
            "kind": kind,
            "name_zh": name_zh,
            "name_en": name_en,
        }
        admitted = api.post(REGISTRY, "/v1/organisations", body, key=f"seed:admit:{organisation_id}")
        if organisation_id not in api.keys:
            api.enter(REGISTRY, organisation_id, admitted["invitation_id"])
        if organisation_id in subjects:
            _prove(api, wallet, organisation_id, subjects[organisation_id])


def _prove(api: ApiClient, wallet: Wallet, organisation_id: str, subject_id: str) -> None:
    """A firm shows that it is a customer of banks: the subject signs the service's challenge. Once."""
    asked = api.get(organisation_id, "/v1/subject/challenge", subject_id=subject_id)
    proof = wallet.binding(subject_id, organisation_id, asked["challenge"])
    try:
        api.post(organisation_id, "/v1/subject/binding", proof, key=f"seed:bind:{organisation_id}")
    except Refused as refusal:
        # The challenge differs from that of the first try, which bound it.
        if refusal.code not in {"idempotency_key_reused", "already_exists"}:
            raise


def bring_in_firms(api: ApiClient, started_at: datetime, wallet: Wallet) -> list[Firm]:
    """Each bank asks about some customers under consent; its two best-scored ones are the firms that own plants."""
    firms: list[Firm] = []
    subjects: dict[str, str] = {}
    developers = iter(developer for developer, *_ in DEVELOPERS)
    for bank in BANKS:
        known = {answer["subject_id"]: answer for answer in api.every(bank, "/v1/inquiries")}
        answers = []
        for customer in api.get(bank, "/v1/customers", limit=CANDIDATES):
            subject_id = customer["subject_id"]
            consent = _signed_consent(wallet, bank, subject_id, started_at.year)
            recorded = api.post(bank, "/v1/consents", consent, key=f"seed:consent:{subject_id}")
            inquiry = {
                "subject_id": subject_id,
                "consent_id": recorded["consent_id"],
                "purpose": "credit_application",
            }
            answers.append(known.get(subject_id) or api.post(bank, "/v1/scores", inquiry))
        best = sorted(answers, key=lambda answer: (-answer["score"], answer["subject_id"]))[:2]
        for answer in best:
            developer = next(developers)
            subjects[developer] = answer["subject_id"]
            firms.append(Firm(developer, bank, answer["inquiry_id"]))
    admit(api, DEVELOPERS, "developer", wallet, subjects)
    return firms


def _signed_consent(wallet: Wallet, bank: str, subject_id: str, year: int) -> dict[str, Any]:
    """What a customer hands to its bank: the same document whenever the seeding is run again."""
    return as_document(
        wallet.sign(
            wallet.named(
                ConsentRecord(
                    consent_id=f"con_seed_{subject_id}",
                    subject_id=subject_id,
                    bank_id=bank,
                    purposes=frozenset({Purpose.CREDIT_APPLICATION, Purpose.LOAN_REVIEW}),
                    scope=frozenset(DataScope),
                    valid_from=datetime(year, 1, 1, tzinfo=UTC),
                    valid_until=datetime(year + 2, 1, 1, tzinfo=UTC),
                )
            )
        )
    )
