"""Who may do which command: one table for JSON routes, console forms and programs alike.

`docs/authority.md` is made from it, the pipeline asks it before a body is looked at, and each handler asks it again
when it runs. What the table cannot know, which loan is whose, the handler checks at the object: `relation` says what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

# Who may hold, sell and buy credits.
HOLDERS = ("developer", "buyer", "bank")
EVERYONE = ("bank", "grid", "developer", "verifier", "registry", "exchange", "buyer")
REGULATOR = "regulator"
KINDS = (*EVERYONE, REGULATOR)


class Role(StrEnum):
    """What a person does for an organisation; a person may have several."""

    MAKER = "maker"
    CHECKER = "checker"
    VIEWER = "viewer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Work(StrEnum):
    """A kind of work: the scopes that a machine is given."""

    SCORES = "scores"
    STATEMENTS = "statements"
    MODELS = "models"
    LENDING = "lending"
    MARKET = "market"
    MEASURING = "measuring"
    REGISTRY = "registry"
    OPERATIONS = "operations"
    ADMINISTRATION = "administration"


class Relation(StrEnum):
    """What the actor's organisation is to the object of a command."""

    OWN = "own"
    PARTY = "party"
    ASSIGNED = "assigned"
    REGION = "region"
    ANY = "any"


EVERY_ROLE = frozenset(Role)
EVERY_WORK = frozenset(Work)


@dataclass(frozen=True, slots=True)
class May:
    """Organisations of these kinds may, for objects that they are in this relation to, through people of this role.

    `second` says when the command waits for another person of the same organisation; empty: never.
    """

    kinds: tuple[str, ...]
    work: Work
    relation: Relation = Relation.OWN
    role: Role = Role.MAKER
    second: str = ""


OWN, PARTY, ASSIGNED, REGION, ANY = Relation
_TRADE, _LEND = Work.MARKET, Work.LENDING
_BORROW = ("developer", "buyer")
_ADMIT = Work.ADMINISTRATION

AUTHORITY: Mapping[str, May] = MappingProxyType(
    {
        # scores and consents
        "give_consent": May(("bank",), Work.SCORES),
        "withdraw_consent": May(("bank",), Work.SCORES),
        "ask_score": May(("bank",), Work.SCORES),
        "withdraw_my_consent": May(_BORROW, Work.SCORES),
        # models: each bank that took part in training says its own word
        "approve_model": May(("bank",), Work.MODELS, PARTY, Role.CHECKER, "every bank that took part in training"),
        "reject_model": May(("bank",), Work.MODELS, PARTY, Role.CHECKER),
        "appoint_model": May(("bank",), Work.MODELS, PARTY, Role.MAKER, "another bank, for the version that scores"),
        "roll_back_model": May(("bank",), Work.MODELS, PARTY),
        "retire_model": May(("bank",), Work.MODELS, PARTY),
        # measuring and verification
        "register_project": May(("developer",), Work.MEASURING),
        "load_readings": May(("grid",), Work.MEASURING, ASSIGNED),
        "replace_meter_key": May(("grid",), Work.MEASURING, ASSIGNED, Role.ADMINISTRATOR),
        "submit_period": May(("developer",), Work.MEASURING),
        "assign_verifier": May(("registry",), Work.MEASURING, REGION),
        "state_period": May(("verifier",), Work.MEASURING, ASSIGNED),
        "raise_finding": May(("verifier",), Work.MEASURING, ASSIGNED),
        "answer_finding": May(("developer",), Work.MEASURING),
        "close_finding": May(("verifier",), Work.MEASURING, ASSIGNED),
        "record_accreditation": May(("registry",), Work.MEASURING, ANY),
        "declare_relation": May(EVERYONE, Work.MEASURING),
        "move_methodology": May(("registry",), Work.MEASURING, ANY),
        # the registry
        "issue_credits": May(("registry",), Work.REGISTRY, REGION),
        "retire_credits": May(HOLDERS, Work.REGISTRY),
        "cancel_credits": May(HOLDERS, Work.REGISTRY),
        "freeze_serials": May(("registry", REGULATOR), Work.REGISTRY, REGION),
        "lift_freeze": May(("registry", REGULATOR), Work.REGISTRY, REGION),
        "revoke_frozen": May(("registry",), Work.REGISTRY, REGION),
        "reverse_from_buffer": May(("registry",), Work.REGISTRY, REGION),
        "suspend_project": May(("registry", REGULATOR), Work.REGISTRY, REGION),
        "resume_project": May(("registry", REGULATOR), Work.REGISTRY, REGION),
        "make_package": May(("registry",), Work.REGISTRY, REGION),
        "close_package": May(("registry",), Work.REGISTRY, REGION),
        "deposit_credits": May(HOLDERS, Work.REGISTRY),
        "redeem": May(HOLDERS, Work.REGISTRY),
        "retire_units": May(HOLDERS, Work.REGISTRY),
        "send_credits": May(HOLDERS, Work.REGISTRY),
        "mint_transfer": May(("registry",), Work.REGISTRY, REGION),
        "refuse_transfer": May((*HOLDERS, "registry"), Work.REGISTRY, PARTY),
        "dispatch_transfer": May(("registry",), Work.REGISTRY, REGION),
        "import_credits": May(("registry",), Work.REGISTRY, REGION),
        "refuse_import": May(("registry",), Work.REGISTRY, REGION),
        "settle_transfer": May(("registry",), Work.REGISTRY, REGION),
        "record_external_claim": May(("registry",), Work.REGISTRY, REGION),
        "record_certificate": May(("grid", "registry"), Work.REGISTRY, REGION),
        "sell_certificate": May(("grid", "registry"), Work.REGISTRY, REGION),
        "link_energy": May(("grid", "registry"), Work.REGISTRY, REGION),
        "record_units": May(("registry",), Work.REGISTRY, ANY),
        # carbon neutrality
        "draft_claim": May(EVERYONE, Work.REGISTRY),
        "match_retirement": May(EVERYONE, Work.REGISTRY),
        "certify_claim": May(("verifier",), Work.REGISTRY, ANY),
        "refuse_claim": May(("verifier",), Work.REGISTRY, ANY),
        # the order book
        "place_order": May(HOLDERS, _TRADE),
        "preview_order": May(HOLDERS, _TRADE),
        "cancel_order": May(HOLDERS, _TRADE),
        "report_block": May((*HOLDERS, "exchange"), _TRADE, PARTY),
        "confirm_block": May((*HOLDERS, "exchange"), _TRADE, PARTY),
        "withdraw_block": May((*HOLDERS, "exchange"), _TRADE),
        # over the counter
        "make_listing": May(HOLDERS, _TRADE),
        "buy_listing": May(HOLDERS, _TRADE, PARTY),
        "buy_any": May(HOLDERS, _TRADE, PARTY),
        "end_listing": May(HOLDERS, _TRADE),
        "propose_deal": May(HOLDERS, _TRADE),
        "sign_deal": May(HOLDERS, _TRADE, PARTY),
        "end_deal": May(HOLDERS, _TRADE, PARTY),
        "ask_for_quotes": May(HOLDERS, _TRADE),
        "give_quote": May(HOLDERS, _TRADE, ANY),
        "take_quote": May(HOLDERS, _TRADE, PARTY),
        "end_quote": May(HOLDERS, _TRADE),
        "end_request": May(HOLDERS, _TRADE),
        # auctions
        "open_auction": May(HOLDERS, _TRADE),
        "place_bid": May(HOLDERS, _TRADE, ANY),
        "commit_bid": May(HOLDERS, _TRADE, ANY),
        "reveal_bid": May(HOLDERS, _TRADE),
        "take_dutch": May(HOLDERS, _TRADE, ANY),
        "take_asking_price": May(HOLDERS, _TRADE, ANY),
        "close_any": May(EVERYONE, _TRADE, ANY),
        "withdraw_any": May(HOLDERS, _TRADE),
        "sign_contract": May(HOLDERS, _TRADE, PARTY),
        "pay_contract": May(HOLDERS, _TRADE, PARTY),
        "default_contract": May(HOLDERS, _TRADE, PARTY),
        # lending
        "reserve_pledge": May(_BORROW, _LEND),
        "post_pledge": May(("bank",), _LEND, PARTY),
        "void_pledge": May(HOLDERS, _LEND, PARTY),
        "expire_pledge": May(HOLDERS, _LEND, PARTY),
        "end_reservation": May(HOLDERS, _LEND, PARTY),
        "amend_registration": May(("bank",), _LEND),
        "release_pledge": May(("bank",), _LEND, PARTY),
        "substitute_pledge": May(("bank",), _LEND, PARTY),
        "replace_on_loan": May(("bank",), _LEND, PARTY),
        "list_collateral": May(("bank",), _LEND),
        "auction_collateral": May(("bank",), _LEND),
        "give_guarantee": May(_BORROW, _LEND),
        "give_earnings": May(_BORROW, _LEND),
        "withdraw_security": May(HOLDERS, _LEND),
        "release_security": May(("bank",), _LEND, PARTY),
        "decide_application": May(("bank",), _LEND),
        "decide_from_answer": May(("bank",), _LEND),
        "check_decision": May(("bank",), _LEND, OWN, Role.CHECKER, "an amount above the product's limit"),
        "disburse_loan": May(("bank",), _LEND),
        "draw_tranche": May(("bank",), _LEND, PARTY),
        "accrue_loan": May(("bank",), _LEND, PARTY),
        "repay_loan": May(_BORROW, _LEND, PARTY),
        "service_loan": May(HOLDERS, _LEND, PARTY, Role.MAKER, "a write-off"),
        "review_target": May(("bank",), _LEND, PARTY),
        "reverse_payment": May(("bank",), _LEND, PARTY),
        "revalue_loans": May(("bank",), _LEND),
        "close_days": May(("bank",), _LEND),
        "close_day": May(("bank",), _LEND),
        # the exchange
        "deposit": May(("exchange",), Work.OPERATIONS, ANY),
        "record_price": May(("exchange",), Work.OPERATIONS, ANY, Role.MAKER, "a move beyond the class's band"),
        "list_instrument": May(("exchange",), Work.OPERATIONS, ANY),
        "halt": May(("exchange",), Work.OPERATIONS, ANY),
        "resume": May(("exchange",), Work.OPERATIONS, ANY),
        "run_session": May(("exchange",), Work.OPERATIONS, ANY),
        # organisations, people and machines
        "admit_organisation": May(("registry", "exchange"), _ADMIT, ANY, Role.ADMINISTRATOR),
        "invite_first": May(("registry", "exchange"), _ADMIT, OWN, Role.ADMINISTRATOR),
        "bind_subject": May(_BORROW, _ADMIT, OWN, Role.ADMINISTRATOR),
        "invite_person": May(
            KINDS,
            _ADMIT,
            OWN,
            Role.ADMINISTRATOR,
            "an invitation that makes an administrator, or another maker or checker",
        ),
        "withdraw_invitation": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "recover_person": May(
            KINDS, _ADMIT, OWN, Role.ADMINISTRATOR, "new credentials for an administrator, a checker or a maker"
        ),
        "end_person": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "register_machine": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "add_machine_key": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "revoke_machine_key": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "revoke_machine": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "register_signing_key": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "revoke_signing_key": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "revoke_key": May(KINDS, _ADMIT, OWN, Role.ADMINISTRATOR),
        "confirm_proposal": May(KINDS, _ADMIT, OWN, Role.CHECKER),
        "refuse_proposal": May(KINDS, _ADMIT, OWN, Role.CHECKER),
    }
)


def authority_of(name: str) -> May:
    """The row of a command. Raises `KeyError` for one that nobody may issue: it is not in the table."""
    return AUTHORITY[name]
