"""An identity authority's services: one for everybody, and one for its own clerks, on the socket in its home."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from credit_api.app.errors import STATUS, ApiError
from credit_api.http.bodies import given_again, whole_body
from credit_api.identity.authority import CODE_BYTES, KEY_LIFE, LONGEST, IdentityAuthority, SubjectKey
from credit_api.nodes.hearing import handled, on_question, service_of
from federated.consent.record import KeyAttestation

# A key, a proof and two ids, several times over.
MOST_BYTES, BODY_S = 8_192, 10.0
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
SubjectId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^\S(.*\S)?$")]
Words = Annotated[str, Field(min_length=3, max_length=500)]
Reason = Annotated[str, Field(max_length=40)]


class Asked(BaseModel):
    """What is asked: what is not declared is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttestationIn(Asked):
    """A key that is to be attested. `proof` is its Ed25519 signature over the domain `tanxin/subject-key-proof/v1`,
    subject, key and the code's SHA-256, each with its length (4 bytes, big-endian) before it."""

    subject_id: SubjectId
    code: Annotated[str, Field(min_length=2 * CODE_BYTES, max_length=2 * CODE_BYTES)]
    public_key: Hex32
    proof: Hex64
    days: Annotated[int, Field(ge=1, le=LONGEST.days)] = KEY_LIFE.days


class AttestationOut(BaseModel):
    """The authority's word that a key is a subject's, as consents carry it. `valid_until` is exclusive."""

    subject_id: str
    public_key: str
    valid_from: datetime
    valid_until: datetime
    signature: str

    @staticmethod
    def of(made: KeyAttestation) -> AttestationOut:
        """As it is told."""
        return AttestationOut(
            subject_id=made.subject_id,
            public_key=made.public_key.hex(),
            valid_from=made.valid_from,
            valid_until=made.valid_until,
            signature=made.signature.hex(),
        )


class EndIn(Asked):
    """A key that its holder ends. `signature` is its own over the domain `tanxin/subject-key-end/v1` and the key, each
    with its length (4 bytes, big-endian) before it."""

    public_key: Hex32
    signature: Hex64
    reason: Reason = "key_lost"


class EndOut(BaseModel):
    """A key that does not hold any more."""

    public_key: str
    ended_at: datetime
    reason: str


class AuthorityOut(BaseModel):
    """The key under which this authority attests, which nodes and exchanges pin."""

    public_key: str


def public_service(authority: IdentityAuthority) -> FastAPI:
    """What subjects, banks, grid companies and exchanges ask."""
    app = FastAPI(
        title="Tanxin identity authority",
        description="Attests that a key is a subject's, and publishes which keys do not hold any more.",
        docs_url=None,
        redoc_url=None,
    )
    handled(app, "identity authority")
    app.add_exception_handler(RequestValidationError, _not_read)
    app.add_middleware(Bounded)

    @app.get("/v1/authority")
    def who() -> AuthorityOut:
        """The authority's public key."""
        return AuthorityOut(public_key=authority.public_key.hex())

    @app.post("/v1/attestations")
    def attested(asked: AttestationIn) -> AttestationOut:
        """Have a key attested by the code that a clerk gave out. Once; asked again, the same attestation."""
        public, proof = bytes.fromhex(asked.public_key), bytes.fromhex(asked.proof)
        made = authority.attest(asked.subject_id, asked.code, public, proof, timedelta(days=asked.days))
        return AttestationOut.of(made)

    @app.post("/v1/revocations")
    def ended(asked: EndIn) -> EndOut:
        """End a key on its own word. What it signed opens nothing once nodes have the next list."""
        key = authority.end_own(bytes.fromhex(asked.public_key), bytes.fromhex(asked.signature), asked.reason)
        assert key.ended_at is not None
        assert key.reason is not None
        return EndOut(public_key=key.public_key, ended_at=key.ended_at, reason=key.reason)

    @app.get("/v1/revocations", response_class=Response)
    def listed() -> Response:
        """The signed list of ended keys that holds now: number, issued_at, next_at, keys (SHA-256), signature."""
        return Response(authority.revocations(), media_type="application/json")

    @app.get("/healthz")
    def well() -> dict[str, bool]:
        """Whether it can sign a list."""
        authority.revocations()
        return {"ok": True}

    return app


class Bounded:
    """Bodies are small, and arrive soon."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and scope["method"] == "POST":
            request = Request(scope, receive)
            try:
                receive = given_again(await whole_body(request, MOST_BYTES, BODY_S), receive)
            except ClientDisconnect:
                return
            except ApiError as refusal:
                content = {"code": refusal.code, "detail": refusal.detail, "context": refusal.context}
                answer = JSONResponse(content, STATUS[refusal.code], {"Connection": "close"})
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _not_read(_: Request, error: Exception) -> JSONResponse:
    # Fields are named, and what was sent is not repeated: it may be a code.
    assert isinstance(error, RequestValidationError)
    wrong = [f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"code": "bad_request", "detail": "; ".join(wrong), "context": {}}, 422)


class Enrolled(Asked):
    """A subject whom a clerk has identified, by what he looked at."""

    subject_id: SubjectId
    evidence: Words


class Ended(Asked):
    """A key that a clerk ends."""

    public_key: Hex32
    reason: Reason
    by: Words


class OfSubject(Asked):
    """A subject."""

    subject_id: SubjectId


def clerks_service(authority: IdentityAuthority) -> Starlette:
    """What the authority's own people ask: who may open the socket may ask."""
    app = service_of("identity-clerks")

    @on_question(app, "/enrol", Enrolled)
    def enrol(asked: Enrolled) -> dict[str, Any]:
        return {"subject_id": asked.subject_id, "code": authority.enrol(asked.subject_id, asked.evidence)}

    @on_question(app, "/end", Ended)
    def end(asked: Ended) -> dict[str, Any]:
        return _shown(authority.end(bytes.fromhex(asked.public_key), asked.reason, asked.by))

    @on_question(app, "/keys", OfSubject)
    def keys(asked: OfSubject) -> dict[str, Any]:
        return {"keys": [_shown(each) for each in authority.keys_of(asked.subject_id)]}

    def well(_: Request) -> Response:
        authority.revocations()
        return Response(b'{"ok": true, "wrong": []}', media_type="application/json")

    app.router.routes.append(Route("/healthz", well))
    return app


def _shown(key: SubjectKey) -> dict[str, Any]:
    return asdict(key)
