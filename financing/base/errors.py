"""Domain errors. Each class has one stable `code`; `credit_api.app.errors` maps codes to HTTP status once."""

from __future__ import annotations

from typing import ClassVar


class FinancingError(Exception):
    """Base of every refusal in this package. `context` carries machine-readable facts about the refusal."""

    code: ClassVar[str] = "financing_error"

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context


class QuantityOutOfRange(FinancingError):
    """A quantity is negative where it may not be, zero where it must not be, or beyond 64 bits."""

    code = "quantity_out_of_range"


class CursorInvalid(FinancingError):
    """A cursor that no page of this list gave."""

    code = "cursor_invalid"


class NotFound(FinancingError):
    """The named thing does not exist, or is not visible to the organisation that asks."""

    code = "not_found"


class NotPermitted(FinancingError):
    """The organisation that asks may not do this to that thing."""

    code = "not_permitted"


class AlreadyExists(FinancingError):
    """Something with this identity is already registered."""

    code = "already_exists"


class InvalidState(FinancingError):
    """The thing is not in a state from which the command is possible."""

    code = "invalid_state"


class CorruptData(FinancingError):
    """A file or record cannot be read as what it claims to be."""

    code = "corrupt_data"


class ParameterMissing(FinancingError):
    """No dated parameter covers the asked key and date."""

    code = "parameter_missing"


class ReadingRejected(FinancingError):
    """A batch of interval readings breaks a rule of the meter (order, sign, grid, capacity)."""

    code = "reading_rejected"


class DuplicateReading(ReadingRejected):
    """A reading for this meter and interval exists already."""

    code = "duplicate_reading"


class PeriodOverlap(FinancingError):
    """The monitoring period overlaps one that is already claimed for this meter."""

    code = "period_overlap"


class PeriodAlreadyIssued(FinancingError):
    """Credits were already issued for this monitoring period."""

    code = "period_already_issued"


class ConflictOfInterest(FinancingError):
    """The verifier is not independent of the project."""

    code = "conflict_of_interest"


class UnbalancedEntry(FinancingError):
    """An entry does not sum to zero per asset, or has fewer than two postings."""

    code = "unbalanced_entry"


class InsufficientBalance(FinancingError):
    """The account's available balance (posted less held) does not cover the amount."""

    code = "insufficient_balance"


class CreditsPledged(InsufficientBalance):
    """The units exist but are pledged or reserved, so they cannot be sold, retired or pledged again."""

    code = "credits_pledged"


class CreditsFrozen(InsufficientBalance):
    """The units exist but the registry has frozen them: they stay where they are until it lifts or revokes."""

    code = "credits_frozen"


class ProjectSuspended(FinancingError):
    """The registry has suspended the project: nothing is claimed or issued for it."""

    code = "project_suspended"


class DoubleClaim(FinancingError):
    """The same energy, site or vehicle is claimed under another scheme, or by another claim of this one."""

    code = "double_claim"


class NotEligible(FinancingError):
    """The credits do not meet a package's criteria, or a region's recognition."""

    code = "not_eligible"


class PriceMissing(FinancingError):
    """No price observation exists for the asset: its value is unknown, not zero."""

    code = "price_missing"


class PriceStale(FinancingError):
    """The latest price observation is older than the asset class allows."""

    code = "price_stale"


class PriceImplausible(FinancingError):
    """A price observation is non-positive or jumps further than the market's band and was not confirmed."""

    code = "price_implausible"


class CreditStandardNotMet(FinancingError):
    """The decision declined or referred the application, so no loan can be drawn on it."""

    code = "credit_standard_not_met"


class AssessmentExpired(FinancingError):
    """The credit score that the decision rests on is past its valid-until time."""

    code = "assessment_expired"


class CoverageInsufficient(FinancingError):
    """The collateral that would remain does not cover the debt at the product's lines."""

    code = "coverage_insufficient"


class DisposalNotAllowed(FinancingError):
    """The loan's coverage or the cure period does not allow the bank to sell the collateral (yet)."""

    code = "disposal_not_allowed"


class IdempotencyKeyMissing(FinancingError):
    """A command that moves value came without an idempotency key."""

    code = "idempotency_key_missing"


class IdempotencyKeyReused(FinancingError):
    """The idempotency key was already used by this organisation with a different request body."""

    code = "idempotency_key_reused"


class LedgerTampered(FinancingError):
    """The ledger's hash chain or a derived balance does not agree with its postings."""

    code = "ledger_tampered"


class PeriodInvalid(FinancingError):
    """A time is without zone, a period ends before it starts, spans two vintages or lies where it may not."""

    code = "period_invalid"


class DeclarationMissing(FinancingError):
    """The owner has not declared that the reduction is claimed under no other scheme."""

    code = "declaration_missing"


class StatementMismatch(FinancingError):
    """A verification statement does not cover the readings, total or reduction of the period it names."""

    code = "statement_mismatch"


class PlausibilityFailed(FinancingError):
    """A monitoring period carries findings of severity error and cannot be accepted."""

    code = "plausibility_failed"


class SerialInvalid(FinancingError):
    """A serial or certificate number is malformed or its check digits are wrong."""

    code = "serial_invalid"


class OfferExpired(FinancingError):
    """What was on offer was not taken before its expiry."""

    code = "offer_expired"


class ResidualNotCovered(FinancingError):
    """The retirements matched to a claim of neutrality are less than its residual emissions."""

    code = "residual_not_covered"


class AuctionClosed(FinancingError):
    """Bids are not taken: the auction has not opened, has closed, or its time to reveal is over or not come."""

    code = "auction_closed"


class BidTooLow(FinancingError):
    """The bid is below the start, the best bid plus the increment, or the asking price."""

    code = "bid_too_low"


class CommitmentMismatch(FinancingError):
    """The revealed bid is not the one that was committed to."""

    code = "commitment_mismatch"


class OverpaymentRefused(FinancingError):
    """A repayment is larger than the debt on its date."""

    code = "overpayment_refused"


class SignatureInvalid(FinancingError):
    """A signature does not belong to this document and key, or the signer has no such key."""

    code = "signature_invalid"


class MethodologyInvalid(FinancingError):
    """A methodology file is not one: a formula outside the language, unlike units, a name that is not declared."""

    code = "methodology_invalid"


class MethodologyNotApproved(FinancingError):
    """The methodology version is a draft, in consultation or superseded, so no new project is registered on it."""

    code = "methodology_not_approved"


class AccreditationMissing(FinancingError):
    """The certifier is not accredited for this methodology on this day."""

    code = "accreditation_missing"


class FindingsOpen(FinancingError):
    """The verifier's findings on the period are not all closed, so nothing can be stated on it."""

    code = "findings_open"


class NotRederivable(FinancingError):
    """The credits cannot be derived again from readings and parameters as they were issued."""

    code = "not_rederivable"


class SeriesInvalid(FinancingError):
    """A price series is too short, out of order, or holds a price that is missing, not positive or out of all scale."""

    code = "series_invalid"


class RiskInputInvalid(FinancingError):
    """An input of a risk model is missing, not a number or outside its range, so nothing is computed from it."""

    code = "risk_input_invalid"


class CreditsNotIssued(FinancingError):
    """Reductions that are still to be generated are no issued credits and cannot be valued or pledged as such."""

    code = "credits_not_issued"


class OrderRefused(FinancingError):
    """The order breaks a rule of the market: tick, lot, size, side conditions or date."""

    code = "order_refused"


class OutsideBand(OrderRefused):
    """The price lies outside the day's band around the previous close."""

    code = "outside_band"


class MarketClosed(FinancingError):
    """The market takes no such command now: outside its hours, or its day is closed."""

    code = "market_closed"


class MarketHalted(FinancingError):
    """The exchange has halted the instrument; waiting orders can be cancelled."""

    code = "market_halted"


class WouldCross(OrderRefused):
    """A post-only order would trade at once."""

    code = "would_cross"


class CannotFill(OrderRefused):
    """An order that must trade in full and at once cannot, within the prices it may take."""

    code = "cannot_fill"


class SameDayResale(OrderRefused):
    """Units bought today cannot be sold before tomorrow."""

    code = "same_day_resale"


class CalendarMissing(FinancingError):
    """The trading calendar does not reach this day, so nobody knows whether the market is open."""

    code = "calendar_missing"


class ContractInvalid(FinancingError):
    """Terms that make no contract: a type, convention, cycle, date or number that is unknown, missing or impossible."""

    code = "contract_invalid"


class SecondPersonRequired(FinancingError):
    """A decision waits for another person than the one who made it, or that person refused it."""

    code = "decision_unchecked"


class BooksDiverged(FinancingError):
    """The loans and the general ledger do not add up to the same."""

    code = "books_diverged"


class BookDiverged(FinancingError):
    """A book rebuilt from its journal is not the one that is stored."""

    code = "book_diverged"
