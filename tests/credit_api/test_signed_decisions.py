"""A decision rests on what the bank's node signed: what is verified, what is stored, and every way round it tried."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey
from signed_world import BANK, BORROWER, OTHER, Apart, answered_here, decision_statement_t, explained, other_score
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from credit_api.app.errors import AuditTampered
from credit_api.cli.audit import audit_app
from credit_api.http.tables import StatementRow
from credit_api.scores.inquiries import inquiries, log_inquiry
from credit_api.scores.statements import verify_stored
from federated.consent.record import Purpose
from federated.models.served.reasons import Reason
from federated.nodes import statements
from federated.nodes.bank import ToldScore
from federated.nodes.node import PartialRequest
from federated.nodes.statements import as_document, jwk_of
from financing.base.storage.columns import table_of

statement_t = table_of(StatementRow)
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"


@pytest.fixture
def apart(world, tmp_path):
    with Apart.opened(world, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite_apart(sqlite_world, tmp_path):
    with Apart.opened(sqlite_world, tmp_path) as made:
        yield made


def test_a_decision_takes_a_statement_and_keeps_it_for_whoever_audits_it(apart):
    world, answer = apart.world, apart.answered()
    said = answer.statement.statement
    decision = apart.decided(answer.statement)
    assert decision["outcome"] == "approve", decision
    assert (decision["assessment_id"], decision["model_version"]) == (said.statement_id, said.model_version)
    (row,) = apart.rows(statement_t)
    assert (row["bank_id"], row["subject_id"], row["sha256"]) == (BANK, apart.subject, said.sha256)
    assert apart.rows(decision_statement_t)[0]["decision_id"] == decision["decision_id"]
    # The same statement supports another application, is stored once, and the trail has its hash once.
    again = apart.decided(answer.statement, amount_fen=200_000)
    assert len(apart.rows(statement_t)) == 1
    assert {each["decision_id"] for each in apart.rows(decision_statement_t)} == {
        decision["decision_id"], again["decision_id"],
    }  # fmt: skip
    events = world.get(BANK, "/v1/audit-events")
    assert [each["object_id"] for each in events if each["action"] == "store_statement"] == [
        answer.statement.proof_sha256
    ]
    with world.parts.reading() as connection:
        assert verify_stored(connection) == 1
    world.fund(BANK, 100_000_000)
    drawn = {"decision_id": decision["decision_id"], "amount_fen": 100_000, "registration_number": "R1"}
    assert world.post(BANK, "/v1/loans", drawn)["drawn_fen"] == 100_000


def test_what_the_bank_did_not_sign_so_supports_nothing(sqlite_apart):
    apart, stranger = sqlite_apart, Ed25519PrivateKey.generate()
    good = apart.stated()
    forged = replace(good, signature=stranger.sign(good.statement.content()).hex())
    apart.refused(forged, "statement_signature_invalid", 403)
    changed = replace(good, statement=replace(good.statement, **other_score(good.statement.score)))
    apart.refused(changed, "statement_signature_invalid", 403)
    # A key that nobody registered; one of another bank; one that this bank registered for other work.
    apart.refused(apart.saying(stranger), "statement_key_refused", 403)
    apart.registered(stranger, who=OTHER)
    apart.refused(apart.saying(stranger), "statement_key_refused", 403)
    robot = Ed25519PrivateKey.generate()
    apart.registered(robot, works=["scores", "lending"])
    apart.refused(apart.saying(robot), "statement_key_refused", 403)
    assert apart.decided(good)["outcome"] == "approve"


def test_a_statement_of_another_bank_or_customer_is_refused(sqlite_apart):
    apart = sqlite_apart
    problem = apart.refused(apart.stated(), "not_permitted", 403, who=OTHER)
    assert problem["context"]["bank_id"] == BANK
    # A bank cannot state for another under its own key.
    stranger = Ed25519PrivateKey.generate()
    apart.registered(stranger, who=OTHER)
    apart.refused(apart.saying(stranger), "not_permitted", 403, who=OTHER)
    problem = apart.refused(apart.saying(subject_id="FIRM-OTHER"), "not_permitted", 403)
    assert problem["context"]["borrower_id"] == BORROWER


def test_a_statement_holds_for_its_term_and_for_a_month_at_the_most(sqlite_apart):
    apart, world = sqlite_apart, sqlite_apart.world
    short = apart.saying(valid_until=world.now + timedelta(minutes=1))
    ahead = apart.saying(assessed_at=world.now + timedelta(minutes=1))
    apart.refused(ahead, "assessment_expired", 409)
    long = apart.saying(valid_until=world.now + timedelta(days=30, microseconds=1))
    assert apart.refused(long, "invalid_statement", 422)["context"]["field"] == "valid_until"
    world.now += timedelta(minutes=1)
    apart.refused(short, "assessment_expired", 409)
    assert apart.decided(ahead)["outcome"] == "approve"


def test_a_key_holds_from_its_registration_until_it_ends_or_is_revoked(sqlite_apart):
    apart, world = sqlite_apart, sqlite_apart.world
    good, key = apart.stated(), Ed25519PrivateKey.generate()
    world.now += timedelta(minutes=1)
    early = apart.saying(key)
    world.now += timedelta(minutes=1)
    machine = apart.registered(key)
    # What was signed before the key was registered may have been signed by whoever had it then.
    assert "not registered for the time" in apart.refused(early, "statement_key_refused", 403)["detail"]
    before = apart.saying(key)
    world.now += timedelta(minutes=1)
    late = apart.saying(key, assessed_at=world.now + timedelta(days=90), valid_until=world.now + timedelta(days=91))
    apart.refused(late, "statement_key_refused", 403)
    path = f"/v1/machines/{machine['machine_id']}/keys/{machine['keys'][0]['kid']}/revocation"
    world.post(BANK, path)
    assert "revoked" in apart.refused(before, "statement_key_refused", 403)["detail"]
    # To register it again does not bring it back.
    apart.registered(key)
    assert "revoked" in apart.refused(before, "statement_key_refused", 403)["detail"]
    # The other machine's key goes on; with the machine its key is revoked too.
    world.post(BANK, f"/v1/machines/{apart.machine['machine_id']}/revocation")
    assert "revoked" in apart.refused(good, "statement_key_refused", 403)["detail"]


def test_a_key_is_changed_without_a_gap_in_what_was_signed(sqlite_apart):
    apart, world = sqlite_apart, sqlite_apart.world
    before, public = apart.stated(), statements.renew_key(apart.store)
    after = apart.stated()
    assert after.public_key == public != before.public_key
    apart.refused(after, "statement_key_refused", 403)
    body = {"jwk": statements.jwk_of(public), "expires_at": (world.now + timedelta(days=90)).isoformat()}
    world.post(BANK, f"/v1/machines/{apart.machine['machine_id']}/keys", body)
    assert apart.decided(before)["outcome"] == apart.decided(after)["outcome"] == "approve"


def test_an_id_stands_for_one_content(sqlite_apart):
    apart = sqlite_apart
    good = apart.stated()
    assert apart.decided(good)["outcome"] == "approve"
    again = apart.signed(replace(good.statement, **other_score(good.statement.score)))
    body = apart.body(again)
    apart.world.assert_refused(BANK, "/v1/decisions", body, "statement_reused", status=409)
    assert len(apart.rows(decision_statement_t)) == 1
    (row,) = apart.rows(statement_t)
    assert row["sha256"] == good.statement.sha256


def test_the_model_is_one_that_the_register_here_approves(sqlite_apart):
    apart = sqlite_apart
    apart.refused(apart.saying(model_version="v9999"), "version_not_found", 404)
    for name in ("manifest_sha256", "model_sha256"):
        problem = apart.refused(apart.saying(**{name: "ab" * 32}), "invalid_statement", 422)
        assert "another model" in problem["detail"]
    # A service without a register knows no version, and takes nobody's word for one.
    apart.world.parts._governance = None
    shutil.rmtree(apart.world.parts.settings.network_home / "registry")
    apart.refused(apart.saying(model_version="v9999"), "version_not_found", 404)


def test_a_version_that_was_retired_supports_nothing(sqlite_apart, monkeypatch):
    apart, governance = sqlite_apart, sqlite_apart.world.parts.governance
    good, standing = apart.stated(), governance.lifecycle()
    version = good.statement.model_version
    retired = replace(standing.record(version), retired_at=apart.world.now)
    ended = replace(standing, versions={**standing.versions, version: retired})
    monkeypatch.setattr(governance, "lifecycle", lambda: ended)
    apart.refused(good, "version_not_approved", 409)


def test_an_application_rests_on_one_thing_that_is_well_formed(sqlite_apart):
    apart, good = sqlite_apart, sqlite_apart.stated()
    inquiry = apart.inquiry["inquiry_id"]
    apart.refused(good, "invalid_request", 422, inquiry_id=inquiry)
    apart.refused(good, "invalid_request", 422, statement=None)
    document = as_document(good)
    for spoilt in (
        {},
        [],
        "x",
        document | {"more": 1},
        document | {"statement": document["statement"] | {"reasons": []}},
        document | {"statement": {**document["statement"], "score": "high"}},
        {name: value for name, value in document.items() if name != "signature"},
    ):
        apart.refused(good, "invalid_request", 422, statement=spoilt)
    for name, value in (("signature", "not hex"), ("signature", good.signature.upper()), ("public_key", "")):
        problem = apart.refused(good, "invalid_statement", 422, statement=document | {name: value})
        assert problem["context"] == {"field": name}
    apart.refused(apart.saying(purpose=Purpose.LOAN_REVIEW), "purpose_not_covered", 403)
    for name, value in (("score", 2**70), ("subject_id", "a b"), ("probability", 2)):
        spoilt = document | {"statement": document["statement"] | {name: value}}
        problem = apart.refused(good, "invalid_statement", 422, statement=spoilt)
        assert problem["context"] == {"field": name}


def test_the_exchange_stores_no_reasons(apart):
    """Neither with the decision nor in its log of inquiries: no text and no code of them in any table."""
    world, said = apart.world, apart.stated().statement
    planted = Reason("B99H", "预设的理由", "a reason that was planted")
    hashes = (said.manifest_sha256, said.model_sha256)
    told = ToldScore(said.score, (planted,), said.basis, *hashes, said.valid_until)
    request = PartialRequest(BANK, apart.subject, apart.consent, said.purpose, said.assessed_at, said.model_version)
    bank = apart.network.bank_node(BANK)
    signed = bank.state(request, told)
    assert apart.decided(signed)["outcome"] == "approve"
    assert bank.shown_reasons(signed.statement.statement_id).reasons == (planted,)
    with world.parts.reading() as connection:
        for table in StatementRow.metadata.sorted_tables:
            stored = repr([tuple(row) for row in connection.execute(select(table))])
            assert "reason that was planted" not in stored, table.name
            for reason in ({"code": "B99H", "zh": planted.zh, "en": planted.en}, *apart.explained["reasons"]):
                assert not any(reason[part] in stored for part in ("code", "zh", "en")), table.name
    # Who asks later is told by the bank's node, which is not here.
    (asked,) = [
        each for each in world.get(BANK, "/v1/inquiries") if each["inquiry_id"] == apart.explained["inquiry_id"]
    ]
    assert (asked["score"], asked["reasons"]) == (apart.explained["score"], None)


def test_reasons_are_told_again_by_the_node_that_keeps_them(sqlite_world):
    world = sqlite_world
    inquiry = explained(world)
    world.admit(BORROWER, "developer", inquiry["subject_id"])
    mine = "/v1/subject/inquiries"

    def told(who, path):
        (found,) = [each for each in world.get(who, path) if each["inquiry_id"] == inquiry["inquiry_id"]]
        return found["reasons"]

    assert told(BANK, "/v1/inquiries") == told(BORROWER, mine) == inquiry["reasons"] != []
    # Others than the node signed are none.
    store = world.parts.network.bank_node(BANK).store
    statement_id = inquiry["statement"]["statement"]["statement_id"]
    kept = json.loads(store.kept_statement(statement_id))
    kept["shown"]["reasons"] = kept["shown"]["reasons"][1:]
    store._db.execute("UPDATE statements SET kept = ? WHERE statement_id = ?", (json.dumps(kept), statement_id))
    assert told(BANK, "/v1/inquiries") is told(BORROWER, mine) is None


def test_without_the_gateway_nobody_is_asked_for_scores_and_statements_decide(sqlite_apart):
    apart, world = sqlite_apart, sqlite_apart.world
    asked = {"subject_id": apart.subject, "consent_id": apart.consent, "purpose": "credit_application"}
    world.assert_refused(BANK, "/v1/scores", asked, "gateway_off", status=501)
    # Who may not ask is told that first.
    world.assert_refused(BORROWER, "/v1/scores", asked, "not_permitted", status=403)
    assert apart.decided(apart.stated())["outcome"] == "approve"


@pytest.fixture
def here(sqlite_world):
    return answered_here(sqlite_world)


def stored_inquiry(world, inquiry, name, **changes):
    """Another inquiry on record with changes to the answer of this one."""
    with world.parts.reading() as connection:
        known = next(each for each in inquiries(connection) if each.inquiry_id == inquiry["inquiry_id"])
    made = known.model_copy(update={"inquiry_id": name, "answer": known.answer | changes})
    world.parts.writer.execute(lambda unit: log_inquiry(unit.connection, made))
    return name


def test_an_inquirys_statement_is_verified_again(here):
    world, inquiry, asked = here
    assert world.post(BANK, "/v1/decisions", asked | {"inquiry_id": inquiry["inquiry_id"]})["outcome"] == "approve"
    signed = inquiry["statement"]
    edited = signed | {"statement": signed["statement"] | other_score(signed["statement"]["score"])}
    for code, given in (
        ("statement_signature_invalid", edited),
        ("statement_missing", None),
        ("invalid_statement", {"statement": 1}),
    ):
        body = asked | {"inquiry_id": stored_inquiry(world, inquiry, f"inq_{code}", statement=given)}
        world.assert_refused(BANK, "/v1/decisions", body, code)
    # What stands beside the statement decides nothing.
    body = asked | {"inquiry_id": stored_inquiry(world, inquiry, "inq_beside", score=300, grade="E")}
    assert world.post(BANK, "/v1/decisions", body)["outcome"] == "approve"


def test_a_withdrawn_consent_stops_statements_too_where_the_node_is_here(here):
    world, inquiry, asked = here
    document = inquiry["statement"]
    assert world.post(BANK, "/v1/decisions", asked | {"statement": document})["outcome"] == "approve"
    world.post(BANK, f"/v1/consents/{document['statement']['consent_id']}/withdrawal")
    for given in ({"statement": document}, {"inquiry_id": inquiry["inquiry_id"]}):
        world.assert_refused(BANK, "/v1/decisions", asked | given, "consent_withdrawn", status=403)


def test_the_service_registers_its_own_node_once_and_no_other_beside_peoples(sqlite_world):
    world = sqlite_world
    customers = world.get(BANK, "/v1/customers?limit=2")
    before = [each for each in world.get(OTHER, "/v1/machines") if "statements" in each["works"]]
    assert before == []
    key = OKPKey.generate_key("Ed25519")
    until = (world.now + timedelta(days=9)).isoformat()
    body = {"label": "node", "works": ["statements"], "jwk": key.as_dict(private=False), "expires_at": until}
    # Under the identity as key anybody signs.
    weak = body | {"jwk": statements.jwk_of("01" + "00" * 31)}
    world.assert_refused(OTHER, "/v1/machines", weak, "invalid_state", status=409)
    world.post(OTHER, "/v1/machines", body)
    other = world.get(OTHER, "/v1/customers?limit=1")[0]["subject_id"]
    world.score(OTHER, other)
    assert len([each for each in world.get(OTHER, "/v1/machines") if "statements" in each["works"]]) == 1
    for each in customers:
        world.score(BANK, each["subject_id"])
    (machine,) = [each for each in world.get(BANK, "/v1/machines") if "statements" in each["works"]]
    assert (machine["created_by"], len(machine["keys"])) == ("service", 1)
    # A new key of its node follows; beside a machine that people revoked, none does.
    store = world.parts.network.bank_node(BANK).store
    statements.renew_key(store)
    world.score(BANK, customers[0]["subject_id"])
    (machine,) = [each for each in world.get(BANK, "/v1/machines") if "statements" in each["works"]]
    assert len(machine["keys"]) == 2
    world.post(BANK, f"/v1/machines/{machine['machine_id']}/revocation")
    statements.renew_key(store)
    world.score(BANK, customers[0]["subject_id"])
    (machine,) = [each for each in world.get(BANK, "/v1/machines") if "statements" in each["works"]]
    assert len(machine["keys"]) == 2
    events = [each for each in world.get(BANK, "/v1/audit-events") if each["action"] == "register_machine"]
    assert {each["person"] for each in events} == {"service"}


def test_the_schema_keeps_statements(apart):
    decision = apart.decided(apart.stated())
    parts = apart.world.parts
    for statement in (
        "UPDATE score_statement SET signature = sha256 || sha256",
        "DELETE FROM score_statement",
        "UPDATE decision_statement SET statement_id = 'x'",
        "DELETE FROM decision_statement",
    ):
        with pytest.raises(DBAPIError, match=r"stays as it was signed|rests on what it rested on"):
            parts.writer.execute(lambda unit, sql=statement: unit.connection.execute(text(sql)))
    # A decision rests on its own bank's word.
    (row,) = apart.rows(statement_t)
    other = dict(row) | {"bank_id": OTHER}
    loose = {"decision_id": decision["decision_id"], "bank_id": OTHER, "statement_id": row["statement_id"]}

    def planted(unit):
        unit.connection.execute(insert(statement_t).values(other))
        unit.connection.execute(insert(decision_statement_t).values(loose))

    with pytest.raises(DBAPIError, match="of the bank that decides"):
        parts.writer.execute(planted)


def test_an_auditor_sees_what_was_edited_past_the_schema(sqlite_apart):
    apart, parts = sqlite_apart, sqlite_apart.world.parts
    signed = apart.stated()
    apart.decided(signed)
    home = str(parts.settings.home)
    done = CliRunner().invoke(audit_app, ["statements", "--home", home])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 stored statements")
    said = as_document(signed)["statement"]
    key = statements._key(apart.store)
    better = replace(signed.statement, **other_score(signed.statement.score))
    resigned = {
        "statement": as_document(apart.signed(better))["statement"],
        "signature": key.sign(better.content()).hex(),
    }
    edits = (
        ({"statement": said | other_score(signed.statement.score)}, "not what its bank's node signed"),
        ({"statement": said | {"basis": "?"}}, "not what its bank's node signed"),
        ({"signature": "00" * 64}, "not what its bank's node signed"),
        ({"subject_id": "FIRM-OTHER"}, "under another's name"),
        # Whoever has the node's key can sign anew, and does not get it into the trail.
        (resigned | {"sha256": better.sha256}, "no statement of this hash"),
    )  # fmt: skip
    with parts.engine.connect() as connection:
        connection.execute(text("DROP TRIGGER score_statement_no_update"))
        connection.execute(text("DROP TRIGGER machine_key_keeps"))
        for values, why in edits:
            with connection.begin_nested() as edit:
                connection.execute(statement_t.update().values(**values))
                with pytest.raises(AuditTampered, match=why):
                    verify_stored(connection)
                edit.rollback()
        with connection.begin_nested() as edit:
            connection.execute(text("UPDATE machine_key SET expires_at = created_at"))
            with pytest.raises(AuditTampered, match="did not hold"):
                verify_stored(connection)
            edit.rollback()
        # Nor does it help to take rows out, or to put a key and a signature of one's own in.
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        for table in ("score_statement", "decision_statement", "machine_key"):
            for name in connection.execute(text(TRIGGERS), {"table": table}).scalars().all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        own = Ed25519PrivateKey.generate()
        jwk = jwk_of(own.public_key().public_bytes_raw().hex())
        signature = own.sign(signed.statement.content()).hex()
        for lines, why in (
            (["UPDATE score_statement SET kid = 'another'"], "the key of a stored statement is gone"),
            (["DELETE FROM machine_key"], "the key of a stored statement is gone"),
            (["DELETE FROM decision_statement"], "or the decision that rests on it"),
            (["DELETE FROM decision_statement", "DELETE FROM score_statement"], "not stored any more"),
            (
                [f"UPDATE machine_key SET jwk = '{json.dumps(jwk)}'",
                 f"UPDATE score_statement SET signature = '{signature}'"],
                "no statement of this hash",
            ),
        ):  # fmt: skip
            with connection.begin_nested() as edit:
                for line in lines:
                    connection.exec_driver_sql(line)
                with pytest.raises(AuditTampered, match=why):
                    verify_stored(connection)
                edit.rollback()
        assert verify_stored(connection) == 1
        connection.rollback()
    # A key that is revoked later does not undo what was decided before.
    apart.world.post(BANK, f"/v1/machines/{apart.machine['machine_id']}/revocation")
    with parts.reading() as connection:
        assert verify_stored(connection) == 1
