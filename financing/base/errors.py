"""Domain errors. Each class has one stable `code`; `credit_api.app.errors` maps codes to HTTP status once."""

from __future__ import annotations

from typing import ClassVar


class FinancingError(Exception):
    """Base of every refusal in this package. `context` carries machine-readable facts about the refusal."""

    code: ClassVar[str] = "financing_error"

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        cls.code = code or cls.code

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context


class QuantityOutOfRange(FinancingError, code="quantity_out_of_range"):
    """A quantity is negative where it may not be, zero where it must not be, or beyond 64 bits."""


class CursorInvalid(FinancingError, code="cursor_invalid"):
    """A cursor that no page of this list gave."""


class NotFound(FinancingError, code="not_found"):
    """The named thing does not exist, or is not visible to the organisation that asks."""


class NotPermitted(FinancingError, code="not_permitted"):
    """The organisation that asks may not do this to that thing."""


class AlreadyExists(FinancingError, code="already_exists"):
    """Something with this identity is already registered."""


class InvalidState(FinancingError, code="invalid_state"):
    """The thing is not in a state from which the command is possible."""


class CorruptData(FinancingError, code="corrupt_data"):
    """A file or record cannot be read as what it claims to be."""


class ParameterMissing(FinancingError, code="parameter_missing"):
    """No dated parameter covers the asked key and date."""


class ReadingRejected(FinancingError, code="reading_rejected"):
    """A batch of interval readings breaks a rule of the meter (order, sign, grid, capacity)."""


class DuplicateReading(ReadingRejected, code="duplicate_reading"):
    """A reading for this meter and interval exists already."""


class PeriodOverlap(FinancingError, code="period_overlap"):
    """The monitoring period overlaps one that is already claimed for this meter."""


class PeriodAlreadyIssued(FinancingError, code="period_already_issued"):
    """Credits were already issued for this monitoring period."""


class ConflictOfInterest(FinancingError, code="conflict_of_interest"):
    """The verifier is not independent of the project."""


class UnbalancedEntry(FinancingError, code="unbalanced_entry"):
    """An entry does not sum to zero per asset, or has fewer than two postings."""


class InsufficientBalance(FinancingError, code="insufficient_balance"):
    """The account's available balance (posted less held) does not cover the amount."""


class CreditsPledged(InsufficientBalance, code="credits_pledged"):
    """The units exist but are pledged or reserved, so they cannot be sold, retired or pledged again."""


class CreditsFrozen(InsufficientBalance, code="credits_frozen"):
    """The units exist but the registry has frozen them: they stay where they are until it lifts or revokes."""


class ProjectSuspended(FinancingError, code="project_suspended"):
    """The registry has suspended the project: nothing is claimed or issued for it."""


class DoubleClaim(FinancingError, code="double_claim"):
    """The same energy, site or vehicle is claimed under another scheme, or by another claim of this one."""


class NotEligible(FinancingError, code="not_eligible"):
    """The credits do not meet a package's criteria, or a region's recognition."""


class PriceMissing(FinancingError, code="price_missing"):
    """No price observation exists for the asset: its value is unknown, not zero."""


class PriceStale(FinancingError, code="price_stale"):
    """The latest price observation is older than the asset class allows."""


class PriceImplausible(FinancingError, code="price_implausible"):
    """A price observation is non-positive or jumps further than the market's band and was not confirmed."""


class CreditStandardNotMet(FinancingError, code="credit_standard_not_met"):
    """The decision declined or referred the application, so no loan can be drawn on it."""


class AssessmentExpired(FinancingError, code="assessment_expired"):
    """The credit score that the decision rests on is past its valid-until time."""


class CoverageInsufficient(FinancingError, code="coverage_insufficient"):
    """The collateral that would remain does not cover the debt at the product's lines."""


class DisposalNotAllowed(FinancingError, code="disposal_not_allowed"):
    """The loan's coverage or the cure period does not allow the bank to sell the collateral (yet)."""


class IdempotencyKeyMissing(FinancingError, code="idempotency_key_missing"):
    """A command that moves value came without an idempotency key."""


class IdempotencyKeyReused(FinancingError, code="idempotency_key_reused"):
    """The idempotency key was already used by this organisation with a different request body."""


class LedgerTampered(FinancingError, code="ledger_tampered"):
    """The ledger's hash chain or a derived balance does not agree with its postings."""


class PeriodInvalid(FinancingError, code="period_invalid"):
    """A time is without zone, a period ends before it starts, spans two vintages or lies where it may not."""


class DeclarationMissing(FinancingError, code="declaration_missing"):
    """The owner has not declared that the reduction is claimed under no other scheme."""


class StatementMismatch(FinancingError, code="statement_mismatch"):
    """A verification statement does not cover the readings, total or reduction of the period it names."""


class PlausibilityFailed(FinancingError, code="plausibility_failed"):
    """A monitoring period carries findings of severity error and cannot be accepted."""


class SerialInvalid(FinancingError, code="serial_invalid"):
    """A serial or certificate number is malformed or its check digits are wrong."""


class OfferExpired(FinancingError, code="offer_expired"):
    """What was on offer was not taken before its expiry."""


class ResidualNotCovered(FinancingError, code="residual_not_covered"):
    """The retirements matched to a claim of neutrality are less than its residual emissions."""


class AuctionClosed(FinancingError, code="auction_closed"):
    """Bids are not taken: the auction has not opened, has closed, or its time to reveal is over or not come."""


class BidTooLow(FinancingError, code="bid_too_low"):
    """The bid is below the start, the best bid plus the increment, or the asking price."""


class CommitmentMismatch(FinancingError, code="commitment_mismatch"):
    """The revealed bid is not the one that was committed to."""


class OverpaymentRefused(FinancingError, code="overpayment_refused"):
    """A repayment is larger than the debt on its date."""


class GridNodeUnavailable(FinancingError, code="grid_node_unavailable"):
    """A grid company's own node does not answer, or not as nodes do: what its meters read is not known now."""


class SignatureNeeded(FinancingError, code="signature_needed"):
    """The organisation signs with keys of its own: `to_sign` is the text, its signature comes with the command."""


class SigningKeyMissing(FinancingError, code="signing_key_missing"):
    """The organisation has no signing key that holds, and this service keeps none for it."""


class SignatureInvalid(FinancingError, code="signature_invalid"):
    """A signature does not belong to this document and key, or the signer has no such key."""


class MethodologyInvalid(FinancingError, code="methodology_invalid"):
    """A methodology file is not one: a formula outside the language, unlike units, a name that is not declared."""


class MethodologyNotApproved(FinancingError, code="methodology_not_approved"):
    """The methodology version is a draft, in consultation or superseded, so no new project is registered on it."""


class AccreditationMissing(FinancingError, code="accreditation_missing"):
    """The certifier is not accredited for this methodology on this day."""


class FindingsOpen(FinancingError, code="findings_open"):
    """The verifier's findings on the period are not all closed, so nothing can be stated on it."""


class NotRederivable(FinancingError, code="not_rederivable"):
    """The credits cannot be derived again from readings and parameters as they were issued."""


class SeriesInvalid(FinancingError, code="series_invalid"):
    """A price series is too short, out of order, or holds a price that is missing, not positive or out of all scale."""


class RiskInputInvalid(FinancingError, code="risk_input_invalid"):
    """An input of a risk model is missing, not a number or outside its range, so nothing is computed from it."""


class CreditsNotIssued(FinancingError, code="credits_not_issued"):
    """Reductions that are still to be generated are no issued credits and cannot be valued or pledged as such."""


class OrderRefused(FinancingError, code="order_refused"):
    """The order breaks a rule of the market: tick, lot, size, side conditions or date."""


class OutsideBand(OrderRefused, code="outside_band"):
    """The price lies outside the day's band around the previous close."""


class MarketClosed(FinancingError, code="market_closed"):
    """The market takes no such command now: outside its hours, or its day is closed."""


class MarketHalted(FinancingError, code="market_halted"):
    """The exchange has halted the instrument; waiting orders can be cancelled."""


class WouldCross(OrderRefused, code="would_cross"):
    """A post-only order would trade at once."""


class CannotFill(OrderRefused, code="cannot_fill"):
    """An order that must trade in full and at once cannot, within the prices it may take."""


class SameDayResale(OrderRefused, code="same_day_resale"):
    """Units bought today cannot be sold before tomorrow."""


class CalendarMissing(FinancingError, code="calendar_missing"):
    """The trading calendar does not reach this day, so nobody knows whether the market is open."""


class ContractInvalid(FinancingError, code="contract_invalid"):
    """Terms that make no contract: a type, convention, cycle, date or number that is unknown, missing or impossible."""


class SecondPersonRequired(FinancingError, code="decision_unchecked"):
    """A decision waits for another person than the one who made it, or that person refused it."""


class AwaitsSecondPerson(FinancingError, code="awaits_second_person"):
    """A command that takes two people has one; it waits until another person of the organisation confirms it."""


class BooksDiverged(FinancingError, code="books_diverged"):
    """The loans and the general ledger do not add up to the same."""


class BookDiverged(FinancingError, code="book_diverged"):
    """A book rebuilt from its journal is not the one that is stored."""
