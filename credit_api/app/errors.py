"""Domain code → HTTP status, once; every refusal leaves as RFC 9457 problem+json with its stable code."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from federated.errors import FederatedError
from financing.base.errors import FinancingError

# One JSON line, with a plain traceback: the default renderer prints local variables, among which a key could be.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
)
log = structlog.get_logger(__name__)
PROBLEM = "application/problem+json"
# A megabyte of wrong list entries was answered with 65 megabytes of what is wrong with them.
FIELDS_SHOWN = 20


class ApiError(Exception):
    """Base of refusals that only the HTTP service knows."""

    code: ClassVar[str] = "api_error"

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        cls.code = code or cls.code

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context


class Unauthenticated(ApiError, code="unauthenticated"):
    """No token or key, or one that is unknown, has expired or was revoked; or a wrong login, password or code."""


class Forbidden(ApiError, code="forbidden"):
    """The caller's organisation is not of a kind, or who acts for it has not the role or scope, to call this route."""


class OauthRefused(ApiError, code="oauth_refused"):
    """A client assertion gets no token. Answered in the form of RFC 6749, section 5.2."""


class CsrfRejected(ApiError, code="csrf_rejected"):
    """A console form came without its token or from another site."""


class InvalidRequest(ApiError, code="invalid_request"):
    """The request does not fit what the route takes."""


class BodyTooLarge(ApiError, code="body_too_large"):
    """The request body is larger than the route accepts."""


class TooSlow(ApiError, code="request_timeout"):
    """The request did not arrive in time."""


class TooManyRequests(ApiError, code="too_many_requests"):
    """More requests than one key, or one address, may send; `Retry-After` says when to go on."""


class Overloaded(ApiError, code="overloaded"):
    """The service works on as many requests as it takes at once; `Retry-After` says when to ask again."""


class GatewayOff(ApiError, code="gateway_off"):
    """This service asks no nodes for scores: a bank asks its own node, and a decision takes the node's statement."""


class StatementMissing(ApiError, code="statement_missing"):
    """An inquiry was answered before answers were signed: ask for the score anew."""


class StatementKeyRefused(ApiError, code="statement_key_refused"):
    """The key of a statement is none that its bank registered for statements, did not hold then, or was revoked."""


class StatementReused(ApiError, code="statement_reused"):
    """A statement of this bank has this id already, and says something else."""


class AuditTampered(ApiError, code="audit_tampered"):
    """An event of the audit trail was edited, deleted or put elsewhere, or the trail's end was cut off."""


STATUS: Mapping[str, int] = {
    # the service
    "unauthenticated": 401,
    "forbidden": 403,
    "csrf_rejected": 403,
    "body_too_large": 413,
    "invalid_request": 422,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "too_many_requests": 429,
    "overloaded": 503,
    "gateway_off": 501,
    "statement_missing": 409,
    "statement_key_refused": 403,
    "statement_reused": 409,
    "audit_tampered": 500,
    "internal_error": 500,
    # both stories
    "not_found": 404,
    "not_permitted": 403,
    "query_lost": 409,
    "corrupt_data": 422,
    "cursor_invalid": 422,
    # the asset's story
    "quantity_out_of_range": 422,
    "already_exists": 409,
    "invalid_state": 409,
    "parameter_missing": 422,
    "reading_rejected": 422,
    "duplicate_reading": 409,
    "period_overlap": 409,
    "period_already_issued": 409,
    "conflict_of_interest": 409,
    "unbalanced_entry": 500,
    "insufficient_balance": 409,
    "credits_pledged": 409,
    "credits_frozen": 409,
    "project_suspended": 409,
    "double_claim": 409,
    "not_eligible": 409,
    "price_missing": 409,
    "price_stale": 409,
    "price_implausible": 422,
    "credit_standard_not_met": 409,
    "assessment_expired": 409,
    "coverage_insufficient": 409,
    "disposal_not_allowed": 409,
    "period_invalid": 422,
    "declaration_missing": 422,
    "statement_mismatch": 409,
    "plausibility_failed": 409,
    "serial_invalid": 422,
    "offer_expired": 409,
    "residual_not_covered": 409,
    "auction_closed": 409,
    "bid_too_low": 409,
    "commitment_mismatch": 409,
    "overpayment_refused": 409,
    "grid_node_unavailable": 503,
    "signature_needed": 409,
    "signing_key_missing": 409,
    "signature_invalid": 422,
    "methodology_invalid": 422,
    "methodology_not_approved": 409,
    "accreditation_missing": 409,
    "findings_open": 409,
    "not_rederivable": 409,
    "series_invalid": 422,
    "risk_input_invalid": 422,
    "credits_not_issued": 409,
    "order_refused": 422,
    "outside_band": 422,
    "market_closed": 409,
    "market_halted": 409,
    "would_cross": 409,
    "cannot_fill": 409,
    "same_day_resale": 409,
    "calendar_missing": 503,
    "book_diverged": 500,
    "books_diverged": 500,
    "decision_unchecked": 409,
    "contract_invalid": 422,
    "idempotency_key_missing": 400,
    "idempotency_key_reused": 422,
    "ledger_tampered": 500,
    # the customer's story
    "consent_missing": 403,
    "consent_withdrawn": 403,
    "consent_expired": 403,
    "purpose_not_covered": 403,
    "scope_not_covered": 403,
    "consent_conflict": 409,
    "consent_signature_invalid": 403,
    "invalid_statement": 422,
    "statement_signature_invalid": 403,
    "query_budget_spent": 429,
    "use_log_tampered": 503,
    "store_outdated": 503,
    "invalid_consent": 422,
    "invalid_time": 422,
    "data_missing": 503,
    "schema_mismatch": 409,
    "alignment_failed": 409,
    "no_overlap": 409,
    "node_unavailable": 503,
    "channel_refused": 503,
    "run_lost": 409,
    "aggregation_failed": 500,
    "seal_broken": 502,
    "training_failed": 500,
    "too_few_rows": 409,
    "rows_too_alike": 409,
    "model_not_found": 503,
    "model_corrupt": 503,
    "privacy_plan_refused": 403,
    "privacy_budget_exceeded": 403,
    "privacy_budget_missing": 403,
    "privacy_ledger_corrupt": 503,
    "model_exists": 409,
    "model_expired": 503,
    "model_in_use": 409,
    "version_not_found": 404,
    "version_not_approved": 409,
    "version_final": 409,
    "awaits_second_person": 409,
    "oauth_refused": 400,
    "second_person_required": 403,
    "nothing_to_roll_back": 409,
    "home_occupied": 409,
}
# Base classes: never raised themselves, mapped so that a code without a row is a test failure.
STATUS = {**STATUS, "financing_error": 500, "federated_error": 500, "api_error": 500}


def status_of(code: str) -> int:
    """The HTTP status of a code. Raises `KeyError` for a code without a row; a test walks all of them."""
    return STATUS[code]


def problem(
    request: Request, code: str, detail: str, context: Mapping[str, object] | None = None, **more: Any
) -> JSONResponse:
    status = status_of(code)
    body = {
        "type": f"/docs/errors#{code}",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
        "context": dict(context or {}),
        **more,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(_plain(body), status_code=status, media_type=PROBLEM, headers=headers)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)


def install(app: FastAPI) -> None:
    """Turn every refusal and failure into problem+json."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError | FinancingError | FederatedError)
        return problem(request, error.code, error.detail, error.context)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"], "rule": item["type"]}
            for item in islice(error.errors(), FIELDS_SHOWN)
        ]
        return problem(request, "invalid_request", "the request does not fit its schema", errors=fields)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        return problem(request, code, str(error.detail))

    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
        return problem(request, "internal_error", "the service failed; nothing of this request was stored")

    for kind in (ApiError, FinancingError, FederatedError):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, failed)
