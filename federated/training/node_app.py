"""Handlers that a bank's and a grid company's app share: introduction and the first steps of alignment."""

from __future__ import annotations

from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.alignment.session import AlignmentSession
from federated.consent.store import from_micros
from federated.errors import AlignmentFailed
from federated.models.encoding import Float32Array, RampEncoder
from federated.nodes.node import Node
from federated.training.messages import Content, answering


class EncodedFile:
    """A node's encoded table, computed once per encoder. A pure cache: it is rebuilt from the node's store if empty."""

    def __init__(self, node: Node) -> None:
        self.table = node.store.table()
        self._encoder: RampEncoder | None = None
        self._encoded: Float32Array | None = None

    def encoded(self, encoder: RampEncoder) -> Float32Array:
        """All rows encoded, (rows, width)."""
        same = self._encoder is not None and all(
            len(a) == len(b) and bool((a == b).all()) for a, b in zip(self._encoder.edges, encoder.edges, strict=True)
        )
        if self._encoded is None or not same:
            self._encoder, self._encoded = encoder, encoder.encode(self.table.values)
        return self._encoded


def base_app(node: Node) -> ClientApp:
    """A `ClientApp` with the handlers that both kinds of node answer."""
    app = ClientApp()

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        return Content(
            config={
                "org_id": node.org_id,
                "role": node.role,
                "schema_id": node.schema.schema_id,
                "schema_version": node.schema.version,
                "data_origin": node.store.data_origin,
                "data_sha256": node.store.data_sha256,
            }
        )

    @app.query("align_blind")
    @answering
    def align_blind(content: Content, _: Context) -> Content:
        at = from_micros(content.integer("at_us"))
        peer, bank_id = content.text("peer"), content.text("bank_id")
        if node.role == "bank" and bank_id != node.org_id:
            raise AlignmentFailed(f"{node.org_id} does not align on behalf of {bank_id}")
        allowed = node.training_subjects(bank_id, at)
        own = set(node.store.table().subjects)
        points = AlignmentSession(node.store, peer).blind(allowed & own)
        return Content(config={"points": points})

    @app.query("align_double")
    @answering
    def align_double(content: Content, _: Context) -> Content:
        session = AlignmentSession(node.store, content.text("peer"))
        return Content(config={"points": session.double(content.points("points"))})

    return app
