"""Errors of the customer's story, each class with one stable `code`; `credit_api.app.errors` maps it to HTTP."""

from __future__ import annotations

from typing import ClassVar


class FederatedError(Exception):
    """Base of every refusal in this package. `context` carries machine-readable facts, never personal data."""

    code: ClassVar[str] = "federated_error"

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context


class ConsentMissing(FederatedError):
    """No consent record with this identity covers this subject at the node that was asked."""

    code = "consent_missing"


class ConsentWithdrawn(FederatedError):
    """The subject withdrew the consent at or before the asked time."""

    code = "consent_withdrawn"


class ConsentExpired(FederatedError):
    """The asked time lies outside the interval for which consent was given."""

    code = "consent_expired"


class PurposeNotCovered(FederatedError):
    """Consent exists, but not for this purpose."""

    code = "purpose_not_covered"


class ScopeNotCovered(FederatedError):
    """Consent exists, but not for this kind of data source."""

    code = "scope_not_covered"


class ConsentConflict(FederatedError):
    """A consent with this identity exists already with other terms; a consent is never edited."""

    code = "consent_conflict"


class ConsentSignatureInvalid(FederatedError):
    """The consent is not signed by its subject with a key that the node's identity authority attests for this time."""

    code = "consent_signature_invalid"


class QueryBudgetSpent(FederatedError):
    """The bank has asked this grid company about this subject, or about all together, as often as a period allows."""

    code = "query_budget_spent"


class UseLogTampered(FederatedError):
    """A node's log of uses is not what was written there. The node answers nothing until that is looked into."""

    code = "use_log_tampered"


class StoreOutdated(FederatedError):
    """A node's store was written by an earlier version: start a new home, or do what the detail says."""

    code = "store_outdated"


class InvalidConsent(FederatedError):
    """The consent's own terms contradict each other (empty purposes, interval that ends before it starts)."""

    code = "invalid_consent"


class DataMissing(FederatedError):
    """A data file or a node store that is needed does not exist."""

    code = "data_missing"


class CorruptData(FederatedError):
    """A file or record cannot be read as what it claims to be. Names party and column."""

    code = "corrupt_data"


class SchemaMismatch(FederatedError):
    """Columns are missing, unknown, or belong to another feature schema. Names party and column."""

    code = "schema_mismatch"


class InvalidTime(FederatedError):
    """A time without a zone was given where an instant is needed, or one before what is recorded already."""

    code = "invalid_time"


class HomeOccupied(FederatedError):
    """The home directory holds node stores of other data; nothing there is overwritten."""

    code = "home_occupied"


class NotPermitted(FederatedError):
    """The organisation that asks is unknown here or may not do this."""

    code = "not_permitted"


class AlignmentFailed(FederatedError):
    """A private-set-intersection message was malformed or out of order."""

    code = "alignment_failed"


class AggregationFailed(FederatedError):
    """A round of secure aggregation did not hold together, or too few parties were left. Nothing was unmasked."""

    code = "aggregation_failed"


class PrivacyPlanRefused(FederatedError):
    """The node's own policy does not allow what the operator proposes, or asks for outside an accepted plan."""

    code = "privacy_plan_refused"


class PrivacyBudgetExceeded(FederatedError):
    """With this run, all runs of the data set together would cost more than the node's own (ε, δ) budget."""

    code = "privacy_budget_exceeded"


class PrivacyBudgetMissing(FederatedError):
    """The node has granted no privacy budget for this data set, so nothing may leave it."""

    code = "privacy_budget_missing"


class PrivacyLedgerCorrupt(FederatedError):
    """The node's privacy ledger is not what was written there; nothing is spent before that is resolved."""

    code = "privacy_ledger_corrupt"


class NodeUnavailable(FederatedError):
    """A node does not answer, or cannot read its own store. Nothing is known about its customers meanwhile."""

    code = "node_unavailable"


class NoOverlap(FederatedError):
    """No bank shares a consented customer with any grid company, so there is nothing to train jointly."""

    code = "no_overlap"


class TrainingFailed(FederatedError):
    """A node failed or returned non-finite numbers during a run. Names the node; nothing is registered."""

    code = "training_failed"


class ModelNotFound(FederatedError):
    """The model registry holds no such model or version, or no champion was appointed yet."""

    code = "model_not_found"


class ModelCorrupt(FederatedError):
    """The weights on disk do not hash to what the manifest says, or cannot be read."""

    code = "model_corrupt"


class ModelExists(FederatedError):
    """This version is already registered; versions are immutable."""

    code = "model_exists"


class ModelExpired(FederatedError):
    """The champion's approval has lapsed: nothing is scored until it is approved anew or another is appointed."""

    code = "model_expired"


class ModelInUse(FederatedError):
    """The version holds a role (champion or challenger) with which this cannot be done."""

    code = "model_in_use"


class VersionNotFound(FederatedError):
    """No version of this name is registered."""

    code = "version_not_found"


class VersionNotApproved(FederatedError):
    """Only a version whose approval holds can be given a role."""

    code = "version_not_approved"


class VersionFinal(FederatedError):
    """The version was rejected or retired, which is final."""

    code = "version_final"


class SecondPersonRequired(FederatedError):
    """A version is approved by another party than the one that registered it."""

    code = "second_person_required"


class NothingToRollBack(FederatedError):
    """No earlier champion is still approved and in date."""

    code = "nothing_to_roll_back"


def error_codes() -> dict[str, type[FederatedError]]:
    """Every stable code with its class, the base included."""
    by_code: dict[str, type[FederatedError]] = {FederatedError.code: FederatedError}
    by_code.update({cls.code: cls for cls in FederatedError.__subclasses__()})
    return by_code
