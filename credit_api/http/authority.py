"""Which route issues which command, and who may read what: the routes' side of the table of authority.

Who may is looked at before a body is; the handler looks again when it runs, and at the object besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from credit_api.app.errors import Forbidden
from credit_api.http.auth.principal import Principal
from financing.base.authority import AUTHORITY, KINDS, REGULATOR, May, Work
from financing.base.context import Actor

ISSUES: Mapping[str, str] = MappingProxyType(
    {
        "/v1/auctions": "open_auction",
        "/v1/auctions/{auction_id}/bids": "place_bid",
        "/v1/auctions/{auction_id}/commitments": "commit_bid",
        "/v1/auctions/{auction_id}/reveals": "reveal_bid",
        "/v1/auctions/{auction_id}/takings": "take_asking_price",
        "/v1/auctions/{auction_id}/close": "close_any",
        "/v1/auctions/{auction_id}/withdrawal": "withdraw_any",
        "/v1/contracts/{contract_id}/signature": "sign_contract",
        "/v1/contracts/{contract_id}/payment": "pay_contract",
        "/v1/contracts/{contract_id}/default": "default_contract",
        "/v1/projects": "register_project",
        "/v1/meters/{meter_id}/readings": "load_readings",
        "/v1/meters/{meter_id}/readings.csv": "load_readings",
        "/v1/monitoring-periods": "submit_period",
        "/v1/monitoring-periods/{period_id}/statement": "state_period",
        "/v1/issuances": "issue_credits",
        "/v1/retirements": "retire_credits",
        "/v1/business-days": "close_days",
        "/v1/decisions": "decide_from_answer",
        "/v1/decisions/{decision_id}/approval": "check_decision",
        "/v1/loans": "disburse_loan",
        "/v1/loans/{loan_id}/events": "service_loan",
        "/v1/loans/{loan_id}/events/{sequence}/reversal": "reverse_payment",
        "/v1/loans/{loan_id}/tranches": "draw_tranche",
        "/v1/loans/{loan_id}/target-reviews": "review_target",
        "/v1/loans/{loan_id}/accruals": "accrue_loan",
        "/v1/loans/{loan_id}/repayments": "repay_loan",
        "/v1/revaluations": "revalue_loans",
        "/v1/pledges": "reserve_pledge",
        "/v1/pledges/{pledge_id}/posting": "post_pledge",
        "/v1/pledges/{pledge_id}/void": "void_pledge",
        "/v1/pledges/{pledge_id}/expiry": "expire_pledge",
        "/v1/pledges/{pledge_id}/registration": "amend_registration",
        "/v1/pledges/{pledge_id}/release": "release_pledge",
        "/v1/pledges/{pledge_id}/substitution": "substitute_pledge",
        "/v1/pledges/{pledge_id}/disposal": "list_collateral",
        "/v1/pledges/{pledge_id}/auctions": "auction_collateral",
        "/v1/guarantees": "give_guarantee",
        "/v1/earnings": "give_earnings",
        "/v1/securities/{security_id}/withdrawal": "withdraw_security",
        "/v1/securities/{security_id}/release": "release_security",
        "/v1/methodologies/{code}/{version}/transitions": "move_methodology",
        "/v1/monitoring-periods/{period_id}/assignment": "assign_verifier",
        "/v1/monitoring-periods/{period_id}/findings": "raise_finding",
        "/v1/verification-findings/{finding_id}/answer": "answer_finding",
        "/v1/verification-findings/{finding_id}/closure": "close_finding",
        "/v1/accreditations": "record_accreditation",
        "/v1/organisation-relations": "declare_relation",
        "/v1/models/rollback": "roll_back_model",
        "/v1/models/{version}/approval": "approve_model",
        "/v1/models/{version}/appointment": "appoint_model",
        "/v1/models/{version}/retirement": "retire_model",
        "/v1/neutrality-claims": "draft_claim",
        "/v1/neutrality-claims/{claim_id}/matches": "match_retirement",
        "/v1/neutrality-claims/{claim_id}/certificate": "certify_claim",
        "/v1/neutrality-claims/{claim_id}/refusal": "refuse_claim",
        "/v1/instruments/{instrument}/blocks": "report_block",
        "/v1/blocks/{block_id}/confirmation": "confirm_block",
        "/v1/blocks/{block_id}/withdrawal": "withdraw_block",
        "/v1/instruments": "list_instrument",
        "/v1/instruments/{instrument}/halt": "halt",
        "/v1/instruments/{instrument}/resumption": "resume",
        "/v1/instruments/{instrument}/session": "run_session",
        "/v1/orders": "place_order",
        "/v1/orders/{order_id}/cancellation": "cancel_order",
        "/v1/organisations": "admit_organisation",
        "/v1/organisations/{organisation_id}/invitation": "invite_first",
        "/v1/invitations": "invite_person",
        "/v1/invitations/{invitation_id}/withdrawal": "withdraw_invitation",
        "/v1/people/{person_id}/recovery": "recover_person",
        "/v1/people/{person_id}/departure": "end_person",
        "/v1/machines": "register_machine",
        "/v1/machines/{machine_id}/keys": "add_machine_key",
        "/v1/machines/{machine_id}/keys/{kid}/revocation": "revoke_machine_key",
        "/v1/machines/{machine_id}/revocation": "revoke_machine",
        "/v1/keys/{key_id}/revocation": "revoke_key",
        "/v1/signing-keys": "register_signing_key",
        "/v1/signing-keys/{public_key}/revocation": "revoke_signing_key",
        "/v1/meters/{meter_id}/key": "replace_meter_key",
        "/v1/transfers/{transfer_id}/dispatch": "dispatch_transfer",
        "/v1/transfers/{transfer_id}/receipt": "settle_transfer",
        "/v1/transfer-imports": "import_credits",
        "/v1/transfer-imports/refusals": "refuse_import",
        "/v1/proposals/{proposal_id}/confirmation": "confirm_proposal",
        "/v1/proposals/{proposal_id}/refusal": "refuse_proposal",
        "/v1/subject/binding": "bind_subject",
        "/v1/listings": "make_listing",
        "/v1/listings/{listing_id}/purchases": "buy_any",
        "/v1/listings/{listing_id}/end": "end_listing",
        "/v1/deals": "propose_deal",
        "/v1/deals/{deal_id}/signature": "sign_deal",
        "/v1/deals/{deal_id}/end": "end_deal",
        "/v1/quote-requests": "ask_for_quotes",
        "/v1/quote-requests/{request_id}/quotes": "give_quote",
        "/v1/quote-requests/{request_id}/end": "end_request",
        "/v1/quotes/{quote_id}/acceptance": "take_quote",
        "/v1/quotes/{quote_id}/end": "end_quote",
        "/v1/deposits": "deposit",
        "/v1/prices": "record_price",
        "/v1/cad-trust/units": "record_units",
        "/v1/freezes": "freeze_serials",
        "/v1/freezes/{freeze_id}/lifting": "lift_freeze",
        "/v1/freezes/{freeze_id}/revocation": "revoke_frozen",
        "/v1/projects/{project_id}/suspension": "suspend_project",
        "/v1/projects/{project_id}/resumption": "resume_project",
        "/v1/cancellations": "cancel_credits",
        "/v1/buffer-reversals": "reverse_from_buffer",
        "/v1/packages": "make_package",
        "/v1/packages/{package_id}/closure": "close_package",
        "/v1/packages/{package_id}/deposits": "deposit_credits",
        "/v1/packages/{package_id}/redemptions": "redeem",
        "/v1/packages/{package_id}/retirements": "retire_units",
        "/v1/transfers": "send_credits",
        "/v1/transfers/{transfer_id}/minting": "mint_transfer",
        "/v1/transfers/{transfer_id}/refusal": "refuse_transfer",
        "/v1/external-claims": "record_external_claim",
        "/v1/green-certificates": "record_certificate",
        "/v1/green-certificates/{certificate_number}/sale": "sell_certificate",
        "/v1/energy-links": "link_energy",
        "/v1/consents": "give_consent",
        "/v1/consents/{consent_id}/withdrawal": "withdraw_consent",
        "/v1/scores": "ask_score",
        "/v1/subject/consents/{consent_id}/withdrawal": "withdraw_my_consent",
    }
)
_MODELS = ("bank", "grid", "registry")
# What not every participant reads. What belongs to one organisation, the query behind a route keeps to it.
READERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/v1/consents": ("bank",),
        "/v1/consents/{consent_id}": ("bank",),
        "/v1/customers": ("bank",),
        "/v1/inquiries": ("bank",),
        "/v1/models": _MODELS,
        "/v1/models/monitoring": _MODELS,
        "/v1/models/drift": _MODELS,
        "/v1/models/{version}": _MODELS,
        "/v1/models/{version}/card": _MODELS,
        "/v1/models/{version}/fairness": _MODELS,
        "/v1/business-days": ("bank",),
        "/v1/alerts": ("bank",),
        "/v1/reports/{name}": ("bank",),
        "/v1/verification/work-list": ("verifier",),
        "/v1/transfer-imports/{from_registry}/{transfer_id}": ("registry",),
        "/v1/transfer-reconciliation": ("registry",),
    }
)
_BOOKS = (Work.LENDING, Work.MARKET, Work.REGISTRY, Work.OPERATIONS)
# For which kinds of work a machine reads an organisation's own things, by the first word of the route. What is not here
# is the same for everybody (prices, instruments, methodologies), and is read for any work. A person reads for all.
READ_FOR: Mapping[str, tuple[Work, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("consents", "customers", "inquiries", "subject"), (Work.SCORES,)),
        "models": (Work.MODELS,),
        **dict.fromkeys(
            ("alerts", "business-days", "decisions", "loans", "margin-calls", "pledges", "reports", "securities"),
            (Work.LENDING,),
        ),
        **dict.fromkeys(
            ("auctions", "blocks", "deals", "listings", "orders", "otc-trades", "quote-requests", "trades"),
            (Work.MARKET,),
        ),
        **dict.fromkeys(("meters", "monitoring-periods", "projects", "verification"), (Work.MEASURING,)),
        **dict.fromkeys(
            (
                "cancellations",
                "external-claims",
                "freezes",
                "issuances",
                "neutrality-claims",
                "packages",
                "transfers",
                "transfer-imports",
                "transfer-reconciliation",
            ),
            (Work.REGISTRY,),
        ),
        **dict.fromkeys(("transfer-imports", "transfer-reconciliation"), (Work.REGISTRY,)),
        "green-certificates": (Work.REGISTRY, Work.MEASURING),
        **dict.fromkeys(("balances", "entries"), _BOOKS),
        **dict.fromkeys(
            ("audit-events", "invitations", "keys", "machines", "people", "proposals", "sessions"),
            (Work.ADMINISTRATION,),
        ),
    }
)


def may_of(path: str) -> May:
    """The row of the table for the command that a route issues. Raises `KeyError` for a route that is not in it."""
    return AUTHORITY[ISSUES[path]]


def readers_of(path: str) -> tuple[str, ...]:
    """The kinds of organisation that may read a route."""
    return (*READERS[path], REGULATOR) if path in READERS else KINDS


def read_for(path: str) -> frozenset[Work]:
    """The kinds of work for which a route is read: any one of them will do."""
    return frozenset(READ_FOR.get(path.split("/")[2], Work))


def require_issuer(principal: Principal, path: str) -> None:
    """Raise `NotPermitted` unless the caller may issue the route's command, whatever its object is."""
    Actor(principal.organisation_id, principal.kind, principal.roles, principal.works).require(may_of(path))


def require_reader(principal: Principal, path: str) -> None:
    """Raise `Forbidden` unless the caller's organisation may read the route, and a machine for its kinds of work."""
    kinds, works = readers_of(path), read_for(path)
    if principal.kind not in kinds:
        raise Forbidden(f"this is for a {' or '.join(kinds)}", kind=principal.kind)
    if not works & principal.works:
        raise Forbidden(f"this is read for the work of {' or '.join(sorted(works))}", works=sorted(principal.works))
