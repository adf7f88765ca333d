"""A small world on a running service, driven over /v1 only, with a clock that tests can set."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from desk import START, TRANSFER, Desk, Founded
from fastapi.testclient import TestClient
from plants import project_body, readings_body
from sqlalchemy import select

from credit_api.app.main import create_app
from credit_api.app.sandbox import admit_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from credit_api.http.auth.keys import api_key, issue
from credit_api.http.auth.principal import digest
from federated.consent.document import as_document
from federated.consent.record import ConsentRecord
from simulations.worlds.wallet import Wallet

RENEWED, FOR_LONG = timedelta(days=80), timedelta(days=10_000)
FOUNDERS_KEYS = "keys-of-tests.json"


class World:
    _idle: ClassVar[list] = []  # applications that serve no world now

    def __init__(self, client, parts, founded):
        self.client, self.parts, self.desk = client, parts, Desk(parts, founded.now, founded.number)
        self.keys, self._numbers = dict(founded.keys), self.desk.numbers
        self.subjects, self.best, self._renewed = {}, founded.best, {}
        self.wallet = parts.subject_signer = Wallet.open(parts.settings.network_home)

    @classmethod
    @contextmanager
    def open(cls, home, database_url, network):
        """A world with its own network, founded anew."""
        home.mkdir(parents=True)
        shutil.copytree(network, home / "network")
        with cls._serve(Founded(home), database_url) as opened:
            opened.keys = opened._admit_founders()
            yield opened

    @classmethod
    def make(cls, home, database_url, network):
        """Found a world, so that `read` finds it in its home or in a copy of that."""
        with cls.open(home, database_url, network) as opened:
            (home / FOUNDERS_KEYS).write_text(json.dumps(opened.keys))

    @staticmethod
    def read(home):
        return Founded(home, json.loads((home / FOUNDERS_KEYS).read_text()))

    @classmethod
    @contextmanager
    def copied(cls, founded, home, database_url=""):
        """A world that was founded before: its home is copied, its database is a copy already or lies in the home."""
        shutil.copytree(founded.home, home)
        with cls._serve(replace(founded, home=home), database_url) as opened:
            yield opened

    def founded(self):
        """This world as it stands, to be copied once it is closed."""
        return Founded(self.parts.settings.home, self.keys, self.best, self.now, next(self._numbers))

    @classmethod
    @contextmanager
    def _serve(cls, founded, database_url):
        parts = assemble(Settings(home=founded.home, database_url=database_url, sandbox=True))
        # Describing 200 routes takes FastAPI 0.2 s at an application's first request: it is done once, not once a test.
        app = cls._idle.pop() if cls._idle else create_app(parts)
        app.state.parts = parts
        with TestClient(app, raise_server_exceptions=False) as client:
            yield cls(client, parts, founded)
        cls._idle.append(app)

    def _admit_founders(self):
        return self.parts.writer.execute(lambda unit: admit_founders(unit, START))

    @property
    def now(self):
        return self.desk.now

    @now.setter
    def now(self, moment):
        self.desk.now = moment

    # calls

    def visitor(self):
        """Another client of the service, with cookies of its own. It is answered on the thread that answers the first
        one: else each of its requests would start a thread, a loop and workers of its own."""
        client = TestClient(self.client.app, raise_server_exceptions=False, follow_redirects=False)
        client.portal = self.client.portal
        return client

    def bearer(self, who):
        """The header that says who calls. A key that ended since, as the clock was set on, is replaced."""
        key = self.keys[who]
        if self.now - START > RENEWED and who not in self._renewed:
            with self.parts.reading() as connection:
                query = select(api_key.c.person_id).where(
                    api_key.c.sha256 == digest(key), api_key.c.revoked_at.is_(None)
                )
                person = connection.execute(query).scalar_one_or_none()
            if person is not None:
                made = self.parts.writer.execute(
                    lambda unit: issue(unit.connection, person, "later", self.now, lifetime=FOR_LONG)
                )
                self.keys[who] = self._renewed[who] = made
        return {"Authorization": f"Bearer {self.keys[who]}"}

    def post(self, who, path, body=None, *, key=None, status=None):
        """POST as `who`; without `status` the call must succeed and the body is returned, else the whole answer is."""
        headers = self.bearer(who) | {"Idempotency-Key": key or f"k{next(self._numbers)}"}
        answer = self.client.post(path, json=body, headers=headers)
        if status is None:
            assert answer.is_success, answer.text
            return answer.json()
        assert answer.status_code == status, answer.text
        return answer

    def get(self, who, path, *, status=None):
        answer = self.client.get(path, headers=self.bearer(who))
        if status is None:
            assert answer.is_success, answer.text
            return answer.json()
        assert answer.status_code == status, answer.text
        return answer

    def assert_refused(self, who, path, body, code, *, status=None, key=None):
        """The command must be refused with `code`, and no balance may move."""
        before = self.snapshot()
        headers = self.bearer(who) | {"Idempotency-Key": key or f"k{next(self._numbers)}"}
        answer = self.client.post(path, json=body, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem["code"] == code, problem
        assert problem["status"] == answer.status_code
        if status is not None:
            assert answer.status_code == status
        assert self.snapshot() == before
        return problem

    def snapshot(self):
        """Head of the ledger, every balance and hold, every open serial block."""
        return self.desk.snapshot()

    def verify(self):
        """The whole chain, every balance and every serial, recomputed."""
        return self.desk.verify()

    def balance(self, who, account, asset="CNY"):
        rows = self.get(who, "/v1/balances")
        return sum(row["posted"] for row in rows if row["account"] == account and row["asset"] == asset)

    # the asset's story, step by step

    def admit(self, organisation_id, kind, subject_id=None, *, by="registry-sip"):
        """A participant with a key of its officer; bound to a customer of banks by that customer's key."""
        body = {
            "organisation_id": organisation_id,
            "kind": kind,
            "name_zh": organisation_id,
            "name_en": organisation_id,
        }
        invited = self.post(by, "/v1/organisations", body)["invitation_id"]
        self.keys[organisation_id] = self.entered(by, invited)
        if subject_id is not None:
            self.bind(organisation_id, subject_id)

    def entered(self, by, invitation_id, name="officer"):
        """The key of whoever accepts an invitation."""
        code = self.get(by, f"/v1/invitations/{invitation_id}/code")["invitation"]
        answer = self.client.post("/v1/invitations/acceptance", json={"invitation": code, "name": name})
        assert answer.status_code == 201, answer.text
        return answer.json()["api_key"]

    def revoke(self, who):
        """An organisation's administrator ends the key that it signs with here."""
        (key,) = [each for each in self.get(who, "/v1/keys") if each["key_id"] == f"key_{digest(self.keys[who])[:20]}"]
        return self.post(who, f"/v1/keys/{key['key_id']}/revocation")

    def bind(self, organisation_id, subject_id):
        asked = self.get(organisation_id, f"/v1/subject/challenge?subject_id={subject_id}")
        proof = self.wallet.binding(subject_id, organisation_id, asked["challenge"])
        return self.post(organisation_id, "/v1/subject/binding", proof)

    def second(self, who):
        """Another person of an organisation, to post as."""
        name = f"{who}:second"
        if name not in self.keys:
            invited = self.post(who, "/v1/invitations", {"roles": ["maker", "checker"]})
            self.keys[name] = self.entered(who, invited["invitation_id"], "second")
        return name

    def confirm(self, who, proposal):
        """Have an organisation's second person confirm what its officer made."""
        return self.post(self.second(who), f"/v1/proposals/{proposal['proposal_id']}/confirmation")

    def fund(self, who, amount_fen):
        transfer = TRANSFER | {"reference": f"transfer {next(self._numbers)}"}
        body = {"organisation_id": who, "amount_fen": amount_fen, **transfer}
        self.post("exchange-seee", "/v1/deposits", body)

    def price(self, fen, *, confirmed=False, at=None):
        body = {
            "asset_class": "PHCER",
            "price_fen_per_tonne": fen,
            "observed_at": (at or self.now).isoformat(),
            "source": "test",
        }
        answer = self.post("exchange-seee", "/v1/prices", body)
        if confirmed and "proposal_id" in answer:
            self.confirm("exchange-seee", answer)
        return answer

    def project(self, owner, code="PV1", *, capacity_w=5_000_000):
        return self.post(owner, "/v1/projects", self.project_body(code, capacity_w=capacity_w))

    project_body, readings_body = staticmethod(project_body), staticmethod(readings_body)

    def claim(self, owner, project, *, first=datetime(2025, 3, 1, tzinfo=UTC), days=60):
        body = {
            "project_id": project["project_id"],
            "starts_at": first.isoformat(),
            "ends_at": (first + timedelta(days=days)).isoformat(),
        }
        return self.post(owner, "/v1/monitoring-periods", body)

    def accept(self, claim):
        statement = {
            "opinion": "positive",
            "commitment": claim["commitment"],
            "generation_wh": claim["generation_wh"],
            "reduction_kg": claim["reduction_kg"],
        }
        period_id = claim["monitoring_period_id"]
        return self.post("verifier-cqc", f"/v1/monitoring-periods/{period_id}/statement", statement)

    def credits(self, owner, code="PV1"):
        """From project to issued credits: the issuance."""
        project = self.project(owner, code)
        self.post("grid-sip", f"/v1/meters/M-{code}/readings", self.readings_body())
        claim = self.claim(owner, project)
        self.accept(claim)
        body = {"monitoring_period_id": claim["monitoring_period_id"]}
        return self.post("registry-sip", "/v1/issuances", body)

    # the customer's story

    def consent(self, bank, subject_id, scope=("bank_file", "electricity")):
        return self.post(bank, "/v1/consents", self.signed(bank, subject_id, scope=scope))

    def signed(
        self, bank, subject_id, *, purposes=("credit_application",), scope=("bank_file", "electricity"), until=None
    ):
        """A consent as its subject signed it, fresh each time: the body that a bank posts."""
        draft = ConsentRecord(
            consent_id=f"con_{next(self._numbers)}",
            subject_id=subject_id,
            bank_id=bank,
            purposes=frozenset(purposes),
            scope=frozenset(scope),
            valid_from=START,
            valid_until=until or START + timedelta(days=365),
        )
        return as_document(self.wallet.sign(self.wallet.named(draft)))

    def score(self, bank, subject_id, **scope):
        consent = self.consent(bank, subject_id, **scope)
        body = {"subject_id": subject_id, "consent_id": consent["consent_id"], "purpose": "credit_application"}
        return self.post(bank, "/v1/scores", body)

    def best_customer(self, bank, among=30):
        """The best-scored of a bank's first customers, with the inquiry that says so."""
        if (bank, among) not in self.best:
            customers = self.get(bank, f"/v1/customers?limit={among}")
            answers = [self.score(bank, customer["subject_id"]) for customer in customers]
            best = max(answers, key=lambda answer: answer["score"])
            self.best[bank, among] = best["subject_id"]
            return best
        # Copies of one world have the same customers and scores: asked once, the others need not be asked again.
        return self.score(bank, self.best[bank, among])

    # where they meet

    def borrower(self, bank="bank-gusu", name="dev-a"):
        """A developer that the bank knows as a good customer, with credits and a price: (issuance, inquiry)."""
        inquiry = self.best_customer(bank)
        self.admit(name, "developer", inquiry["subject_id"])
        issuance = self.credits(name, f"PV{next(self._numbers)}")
        return issuance, inquiry

    def loan(self, bank="bank-gusu", name="dev-a", *, pledge_kg=400_000, amount_fen=500_000):
        """A disbursed loan on a 30 CNY/t mark: (loan, pledge, issuance)."""
        self.fund(bank, 100_000_000)
        issuance, inquiry = self.borrower(bank, name)
        self.price(3_000)
        pledge = self.post(
            name,
            "/v1/pledges",
            {"bank_id": bank, "issuance_id": issuance["issuance_id"], "quantity_kg": pledge_kg},
        )
        decision = self.post(
            bank,
            "/v1/decisions",
            {
                "borrower_id": name,
                "inquiry_id": inquiry["inquiry_id"],
                "amount_fen": amount_fen,
                "tenor_days": 180,
                "pledge_ids": [pledge["pledge_id"]],
            },
        )
        assert decision["outcome"] == "approve", decision
        loan = self.post(
            bank,
            "/v1/loans",
            {
                "decision_id": decision["decision_id"],
                "amount_fen": amount_fen,
                "registration_number": "REG-1",
            },
        )
        return loan, pledge, issuance
