"""Errors of the customer's story, each class with one stable `code`; `credit_api.app.errors` maps it to HTTP."""

from __future__ import annotations

from typing import ClassVar


class FederatedError(Exception):
    """Base of every refusal in this package. `context` carries machine-readable facts, never personal data."""

    code: ClassVar[str] = "federated_error"

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        cls.code = code or cls.code

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context


class ConsentMissing(FederatedError, code="consent_missing"):
    """No consent record with this identity covers this subject at the node that was asked."""


class ConsentWithdrawn(FederatedError, code="consent_withdrawn"):
    """The subject withdrew the consent at or before the asked time."""


class ConsentExpired(FederatedError, code="consent_expired"):
    """The asked time lies outside the interval for which consent was given."""


class PurposeNotCovered(FederatedError, code="purpose_not_covered"):
    """Consent exists, but not for this purpose."""


class ScopeNotCovered(FederatedError, code="scope_not_covered"):
    """Consent exists, but not for this kind of data source."""


class ConsentConflict(FederatedError, code="consent_conflict"):
    """A consent with this identity exists already with other terms; a consent is never edited."""


class ConsentSignatureInvalid(FederatedError, code="consent_signature_invalid"):
    """The consent is not signed by its subject with a key that the node's identity authority attests for this time."""


class InvalidStatement(FederatedError, code="invalid_statement"):
    """A bank's statement of a score says what no statement can say, or names another model than the register holds."""


class StatementSignatureInvalid(FederatedError, code="statement_signature_invalid"):
    """A bank's statement of a score is not signed by the key that it names."""


class QueryBudgetSpent(FederatedError, code="query_budget_spent"):
    """The bank has asked this grid company about this subject, or about all together, as often as a period allows."""


class UseLogTampered(FederatedError, code="use_log_tampered"):
    """A node's log of uses is not what was written there. The node answers nothing until that is looked into."""


class StoreOutdated(FederatedError, code="store_outdated"):
    """A node's store was written by an earlier version: start a new home, or do what the detail says."""


class InvalidConsent(FederatedError, code="invalid_consent"):
    """The consent's own terms contradict each other (empty purposes, interval that ends before it starts)."""


class DataMissing(FederatedError, code="data_missing"):
    """A data file or a node store that is needed does not exist."""


class CorruptData(FederatedError, code="corrupt_data"):
    """A file or record cannot be read as what it claims to be. Names party and column."""


class SchemaMismatch(FederatedError, code="schema_mismatch"):
    """Columns are missing, unknown, or belong to another feature schema. Names party and column."""


class InvalidTime(FederatedError, code="invalid_time"):
    """A time without a zone, before what is recorded already, or far from the clock of the node that is asked."""


class HomeOccupied(FederatedError, code="home_occupied"):
    """The home directory holds node stores of other data; nothing there is overwritten."""


class NotPermitted(FederatedError, code="not_permitted"):
    """The organisation that asks is unknown here or may not do this."""


class QueryLost(NotPermitted, code="query_lost"):
    """A step of a query is not waited for here: it was taken, or this node began anew since."""


class AlignmentFailed(FederatedError, code="alignment_failed"):
    """A private-set-intersection message was malformed or out of order."""


class SealBroken(FederatedError, code="seal_broken"):
    """Reasons that came for a bank were changed on the way, or were sealed for another query. The score is not told."""


class AggregationFailed(FederatedError, code="aggregation_failed"):
    """A round of secure aggregation did not hold together, or too few parties were left. Nothing was unmasked."""


class PrivacyPlanRefused(FederatedError, code="privacy_plan_refused"):
    """The node's own policy does not allow what the operator proposes, or asks for outside an accepted plan."""


class PrivacyBudgetExceeded(FederatedError, code="privacy_budget_exceeded"):
    """With this run, all runs of the data set would cost more than the node's own (ε, δ), or be more than it allows."""


class PrivacyBudgetMissing(FederatedError, code="privacy_budget_missing"):
    """The node has granted no privacy budget for this data set, so nothing may leave it."""


class PrivacyLedgerCorrupt(FederatedError, code="privacy_ledger_corrupt"):
    """The node's privacy ledger is not what was written there; nothing is spent before that is resolved."""


class ChannelRefused(FederatedError, code="channel_refused"):
    """A certificate, a key or a peer is not one that a node of this network takes."""


class NodeUnavailable(FederatedError, code="node_unavailable"):
    """A node does not answer, or cannot read its own store. Nothing is known about its customers meanwhile."""


class RunLost(FederatedError, code="run_lost"):
    """A node takes no part in this training run: its process began anew, or another run followed."""


class NoOverlap(FederatedError, code="no_overlap"):
    """No bank shares a consented customer with any grid company, so there is nothing to train jointly."""


class TooFewRows(FederatedError, code="too_few_rows"):
    """A bank lets no gradients be opened over so few customers: labels could be told from them."""


class RowsTooAlike(FederatedError, code="rows_too_alike"):
    """A bank opened a run over nearly the same customers before: the difference would tell labels of the few others."""


class TrainingFailed(FederatedError, code="training_failed"):
    """A node failed or returned non-finite numbers during a run. Names the node; nothing is registered."""


class ModelNotFound(FederatedError, code="model_not_found"):
    """The model registry holds no such model or version, or no champion was appointed yet."""


class ModelCorrupt(FederatedError, code="model_corrupt"):
    """The weights on disk do not hash to what the manifest says, or cannot be read."""


class ModelExists(FederatedError, code="model_exists"):
    """This version is already registered; versions are immutable."""


class ModelExpired(FederatedError, code="model_expired"):
    """The champion's approval has lapsed: nothing is scored until it is approved anew or another is appointed."""


class ModelInUse(FederatedError, code="model_in_use"):
    """The version holds a role (champion or challenger) with which this cannot be done."""


class VersionNotFound(FederatedError, code="version_not_found"):
    """No version of this name is registered."""


class VersionNotApproved(FederatedError, code="version_not_approved"):
    """Only a version whose approval holds can be given a role."""


class VersionFinal(FederatedError, code="version_final"):
    """The version was rejected or retired, which is final."""


class SecondPersonRequired(FederatedError, code="second_person_required"):
    """A version is approved by another party than the one that registered it."""


class NothingToRollBack(FederatedError, code="nothing_to_roll_back"):
    """No earlier champion is still approved and in date."""


def error_codes() -> dict[str, type[FederatedError]]:
    """Every stable code with its class, the base included."""
    by_code: dict[str, type[FederatedError]] = {}
    waiting: list[type[FederatedError]] = [FederatedError]
    while waiting:
        kind = waiting.pop()
        by_code[kind.code] = kind
        waiting += kind.__subclasses__()
    return by_code
