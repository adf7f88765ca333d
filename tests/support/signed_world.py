"""A bank whose node states scores: in a process of its own, or in the service."""

import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from credit_api.http.tables import DecisionStatementRow
from federated.consent.record import Purpose
from federated.models.served.scaling import logit_of, probability_of
from federated.nodes import statements
from federated.nodes.statements import SignedStatement, as_document
from federated.serving import Network, ScoreQuery
from financing.base.storage.columns import table_of

BANK, OTHER, BORROWER = "bank-gusu", "bank-taihu", "dev-a"
decision_statement_t = table_of(DecisionStatementRow)


class Apart:
    """A bank whose node runs elsewhere: the exchange has its key, the register and no store of a node."""

    def __init__(self, world, folder):
        self.world = world
        _, self.inquiry = world.borrower()
        self.subject = self.inquiry["subject_id"]
        self.consent = world.consent(BANK, self.subject)["consent_id"]
        self.explained = explained(world)
        world.price(3_000)
        issuance = world.credits(BORROWER, "PVSIGNED")
        body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 200_000}
        self.pledge = world.post(BORROWER, "/v1/pledges", body)
        parts = world.parts
        shutil.copytree(parts.settings.network_home, folder / "node")
        parts.network.close()
        parts._network = None
        shutil.rmtree(parts.settings.network_home / "nodes")
        parts.settings = parts.settings.model_copy(update={"score_gateway": False})
        self.network = Network.open(folder / "node", lambda: world.now)
        self.store = self.network.bank_node(BANK).store
        self.machine = next(each for each in world.get(BANK, "/v1/machines") if each["works"] == ["statements"])

    @classmethod
    @contextmanager
    def opened(cls, world, folder):
        made = cls(world, folder)
        yield made
        made.network.close()

    def answered(self):
        query = ScoreQuery(BANK, self.subject, self.consent, Purpose.CREDIT_APPLICATION, self.world.now)
        return self.network.score(query)

    def stated(self):
        return self.answered().statement

    def signed(self, statement, key=None):
        """What the holder of a key can have signed: the node's own, unless another is given."""
        key = key or statements._key(self.store)
        signature = key.sign(statement.content()).hex()
        return SignedStatement(statement, key.public_key().public_bytes_raw().hex(), signature)

    def saying(self, key=None, **changes):
        """A fresh statement with changes, signed anew."""
        return self.signed(replace(self.stated().statement, **changes), key)

    def body(self, signed, **more):
        asked = {"borrower_id": BORROWER, "amount_fen": 300_000, "tenor_days": 180}
        return asked | {"pledge_ids": [self.pledge["pledge_id"]], "statement": as_document(signed)} | more

    def decided(self, signed, **more):
        return self.world.post(BANK, "/v1/decisions", self.body(signed, **more))

    def refused(self, signed, code, status, who=BANK, **more):
        problem = self.world.assert_refused(who, "/v1/decisions", self.body(signed, **more), code, status=status)
        assert self.rows(decision_statement_t) == []
        return problem

    def rows(self, table):
        with self.world.parts.reading() as connection:
            return list(connection.execute(select(table)).mappings())

    def registered(self, key, works=("statements",), who=BANK):
        until = (self.world.now + timedelta(days=90)).isoformat()
        jwk = statements.jwk_of(key.public_key().public_bytes_raw().hex())
        body = {"label": "node", "works": list(works), "jwk": jwk, "expires_at": until}
        return self.world.post(who, "/v1/machines", body)


def explained(world):
    """An answer with reasons to one of the bank's customers."""
    customers = world.get(BANK, "/v1/customers?limit=20")
    answers = (world.score(BANK, each["subject_id"]) for each in customers)
    return next(each for each in answers if each["reasons"])


def other_score(score):
    score = score + 25 if score < 800 else score - 25
    return {"score": score, "probability": probability_of(logit_of(score))}


def answered_here(world):
    """A borrower of a bank whose node runs in the service: the world, an answered inquiry, and what it applies for."""
    _, inquiry = world.borrower()
    world.price(3_000)
    issuance = world.credits(BORROWER, "PVHERE")
    body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 200_000}
    pledge = world.post(BORROWER, "/v1/pledges", body)
    asked = {"borrower_id": BORROWER, "amount_fen": 300_000, "tenor_days": 180, "pledge_ids": [pledge["pledge_id"]]}
    return world, inquiry, asked
