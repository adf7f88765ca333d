"""Consents of a bank's customers, from its own systems: recorded here and at the grid company that they name, withdrawn
at both; and, at any node, the identity authority's list of keys that do not hold any more."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from credit_api.nodes.hearing import body_of, on_question, route, told
from credit_api.scores.schemas import ConsentIn, ConsentOut
from federated.consent import revocations
from federated.consent.record import ConsentRecord
from federated.errors import ChannelRefused
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.serving.network import Network

BY_SUBJECT, BY_BANK = "subject", "its bank"


class Withdrawn(BaseModel):
    """A consent that is withdrawn: on the bank's word, or with the subject's signature too."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    consent_id: Annotated[str, Field(min_length=1, max_length=128)]
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{128})?$")] = ""


def consent_routes(app: Starlette, node: BankNode | GridNode, network: Network | None) -> None:
    """Routes on a node's own socket; `network` is a bank's own."""

    def own_network() -> Network:
        if network is None:
            raise ChannelRefused(f"{node.org_id} is no bank: consents come to it from the banks that they are towards")
        return network

    @on_question(app, "/consents/record", ConsentIn)
    def record(asked: ConsentIn) -> dict[str, Any]:
        return _shown(own_network().record_consent(asked.record()))

    @on_question(app, "/consents/withdraw", Withdrawn)
    def withdraw(asked: Withdrawn) -> dict[str, Any]:
        by = BY_SUBJECT if asked.signature else node.org_id
        signature = bytes.fromhex(asked.signature)
        return _shown(own_network().withdraw_consent(asked.consent_id, node.org_id, node.now(), by, signature))

    async def revoked_keys(request: Request) -> Response:
        content = await body_of(request, revocations.MOST_BYTES)
        held = await to_thread.run_sync(node.take_revocations, content)
        return told({"number": held.number, "keys": len(held.keys), "next_at": held.next_at})

    route(app, "/revoked-keys", revoked_keys)


def _shown(record: ConsentRecord) -> dict[str, Any]:
    return ConsentOut.model_validate(record).model_dump(mode="json")
