"""What leaves an event: commands, refusals, reads of personal data and strangers, each once and in its own words."""

import json
import re
from concurrent.futures import Future
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from credit_api.audit import strangers as strangers_module
from credit_api.audit.cost import measure_cost
from credit_api.audit.store import AuditStore
from credit_api.audit.strangers import Strangers
from credit_api.audit.verifying import verify_trail
from credit_api.cli.main import app
from financing.base.storage.writer import WriterClosed
from financing.lending.unit import UnitOfWork

HTML = {"Accept": "text/html,application/xhtml+xml"}


def trail(world):
    with world.parts.reading() as connection:
        return list(AuditStore(connection).walk())


def since(world, known):
    return trail(world)[len(known) :]


def told(event):
    return event.organisation_id, event.action, event.outcome, event.code, event.object_id, event.concerns_id


def test_a_command_its_repetition_and_its_refusals_leave_an_event_each(world):
    w = world
    w.admit("dev-a", "developer")
    issuance = w.credits("dev-a")["issuance_id"]
    before = trail(w)
    pledge = {"bank_id": "bank-gusu", "issuance_id": issuance, "quantity_kg": 1_000}
    made = w.post("dev-a", "/v1/pledges", pledge, key="one")["pledge_id"]
    w.post("dev-a", "/v1/pledges", pledge, key="one")
    w.post("dev-a", "/v1/pledges", pledge | {"quantity_kg": 10**12}, status=409)
    w.post("dev-a", "/v1/pledges", {"bank_id": "bank-gusu"}, status=422)
    w.post("dev-a", "/v1/pledges", pledge | {"quantity_kg": 7}, key="one", status=422)
    w.post("bank-jinji", f"/v1/pledges/{made}/void", status=403)
    w.post("bank-gusu", f"/v1/pledges/{made}/void")
    assert [told(each) for each in since(w, before)] == [
        ("dev-a", "reserve_pledge", "committed", "", made, "bank-gusu"),
        ("dev-a", "reserve_pledge", "replayed", "", "", "bank-gusu"),
        ("dev-a", "reserve_pledge", "refused", "insufficient_balance", "", "bank-gusu"),
        ("dev-a", "reserve_pledge", "refused", "invalid_request", "", ""),
        ("dev-a", "reserve_pledge", "refused", "idempotency_key_reused", "", "bank-gusu"),
        ("bank-jinji", "void_pledge", "refused", "not_permitted", made, ""),
        ("bank-gusu", "void_pledge", "committed", "", made, ""),
    ]
    first = since(w, before)[0]
    (officer,) = w.get("dev-a", "/v1/people")
    assert (first.person, first.credential, first.count) == (officer["person_id"], "key", 1)
    assert first.at == w.now
    with w.parts.reading() as connection:
        assert verify_trail(UnitOfWork(connection)).head.seq == len(trail(w))


def test_the_request_id_of_the_answer_stands_in_the_event(sqlite_world):
    w = sqlite_world
    headers = {"Authorization": f"Bearer {w.keys['bank-gusu']}"}
    for given in ("my-request:1", "with a blank", "x" * 65, ""):
        answer = w.client.get("/v1/customers?limit=1", headers=headers | {"X-Request-ID": given})
        used = answer.headers["X-Request-ID"]
        assert (used == given) is (given == "my-request:1")
        assert trail(w)[-1].request_id == used


def test_what_no_command_tells_of_is_told_all_the_same(sqlite_world):
    """Refused before a command ran: no idempotency key, another kind of organisation, a read that is another's."""
    w = sqlite_world
    before = trail(w)
    headers = {"Authorization": f"Bearer {w.keys['bank-gusu']}"}
    assert w.client.post("/v1/orders", json={"instrument": "x"}, headers=headers).status_code == 400
    w.post("bank-gusu", "/v1/consents", {"consent_id": "c"}, status=422)
    w.post("grid-sip", "/v1/consents", {"consent_id": "c"}, status=403)
    w.get("grid-sip", "/v1/customers", status=403)
    w.get("bank-gusu", "/v1/loans/none", status=404)
    w.get("bank-gusu", "/v1/nothing", status=404)
    assert [told(each)[:4] for each in since(w, before)] == [
        ("bank-gusu", "place_order", "refused", "idempotency_key_missing"),
        ("bank-gusu", "give_consent", "refused", "invalid_request"),
        ("grid-sip", "give_consent", "refused", "not_permitted"),
        ("grid-sip", "list_customers", "refused", "forbidden"),
    ]


def test_a_command_that_fails_is_told_and_nothing_of_it_is_stored(sqlite_world, monkeypatch):
    w = sqlite_world
    before, books = trail(w), w.snapshot()

    def broken(*_args, **_more):
        raise RuntimeError("broken")

    monkeypatch.setattr("financing.ledger.payments.PaymentStore.require_new", broken)
    body = {"organisation_id": "bank-gusu", "amount_fen": 5, "payer_bank": "999305000001", "reference": "r"}
    w.post("exchange-seee", "/v1/deposits", body, status=500)
    assert [told(each)[:4] for each in since(w, before)] == [("exchange-seee", "deposit", "failed", "internal_error")]
    assert w.snapshot() == books


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/v1/customers", "read_customers"),
        ("/v1/consents", "read_consents"),
        ("/v1/inquiries", "read_inquiries"),
        ("/v1/decisions", "read_decisions"),
        ("/v1/models/monitoring", "read_monitoring"),
        ("/v1/models/drift", "read_monitoring"),
        ("/v1/audit-events", "read_audit_events"),
        ("/console/scores", "read_customers"),
        ("/console/inquiries", "read_inquiries"),
        ("/console/models", "read_monitoring"),
    ],
)
def test_a_read_of_personal_data_is_told_before_it_is_answered(sqlite_world, monkeypatch, path, action):
    """And where it cannot be told, there is no answer."""
    w = sqlite_world
    ask = reader(w, path)
    before = trail(w)
    assert ask().status_code == 200
    assert [told(each)[:3] for each in since(w, before)] == [("bank-gusu", action, "read")]
    assert since(w, before)[0].credential == ("session" if path.startswith("/console") else "key")

    def full(_event):
        failed = Future()
        failed.set_exception(OSError("no space left"))
        return failed

    monkeypatch.setattr(w.parts.audit, "submit", full)
    assert ask().status_code == 500


def reader(w, path):
    if path.startswith("/v1"):
        return lambda: w.client.get(path, headers={"Authorization": f"Bearer {w.keys['bank-gusu']}"})
    browser = entered(w, "bank-gusu")
    return lambda: browser.get(path, headers=HTML)


def entered(w, organisation_id):
    """A browser that acts for an organisation."""
    browser = w.visitor()
    shown = browser.get("/", headers=HTML).text
    token = re.search(r'name="csrf" value="([^"]*)"', shown).group(1)
    body = {"csrf": token, "form": "enter", "organisation_id": organisation_id}
    assert browser.post("/session", data=body, headers=HTML | {"Sec-Fetch-Site": "same-origin"}).status_code == 303
    return browser


def test_a_score_is_told_with_its_inquiry_and_the_firm_reads_its_own_record(sqlite_world):
    w = sqlite_world
    subject = w.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    w.admit("firm", "developer", subject)
    consent = w.consent("bank-gusu", subject)["consent_id"]
    before = trail(w)
    asked = {"subject_id": subject, "consent_id": consent, "purpose": "credit_application"}
    inquiry = w.post("bank-gusu", "/v1/scores", asked)["inquiry_id"]
    w.post("bank-gusu", "/v1/scores", asked | {"purpose": "loan_review"}, status=403)
    w.get("bank-gusu", f"/v1/consents/{consent}")
    for path in ("inquiries", "uses", "consents"):
        w.get("firm", f"/v1/subject/{path}")
    w.post("firm", f"/v1/subject/consents/{consent}/withdrawal")
    events = since(w, before)
    assert [(each.organisation_id, each.action, each.outcome, each.code) for each in events] == [
        ("bank-gusu", "ask_score", "committed", ""),
        # With the first answer the service registers the node that signed it, as nobody has brought the bank's own.
        ("bank-gusu", "register_machine", "committed", ""),
        ("bank-gusu", "ask_score", "refused", "purpose_not_covered"),
        ("bank-gusu", "read_consent", "read", ""),
        ("firm", "read_own_inquiries", "read", ""),
        ("firm", "read_own_uses", "read", ""),
        ("firm", "read_own_consents", "read", ""),
        ("firm", "withdraw_my_consent", "committed", ""),
    ]
    assert events[0].object_id == inquiry
    assert (events[1].person, events[1].concerns_id) == ("service", "")
    assert {each.concerns_id for each in (events[0], *events[2:7])} == {subject}
    assert events[7].object_id == consent


def test_an_inquiry_at_the_console_is_told_once(sqlite_world):
    w = sqlite_world
    subject = w.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    consent = w.consent("bank-gusu", subject)["consent_id"]
    w.score("bank-gusu", subject)
    browser = entered(w, "bank-gusu")
    for purpose, status, outcome in (("credit_application", 303, "committed"), ("nonsense", 422, "refused")):
        page = browser.get(f"/console/scores/{subject}", headers=HTML).text
        form = page[page.index(f'action="/console/scores/{subject}/inquiries"') :]
        hidden = dict(re.findall(r'type="hidden" name="(csrf|key)" value="([^"]*)"', form)[:2])
        before = trail(w)
        body = hidden | {"form": "ask", "consent_id": consent, "purpose": purpose}
        headers = HTML | {"Sec-Fetch-Site": "same-origin"}
        answer = browser.post(f"/console/scores/{subject}/inquiries", data=body, headers=headers)
        assert answer.status_code == status, answer.text
        acts = [each for each in since(w, before) if each.outcome != "read"]
        assert [(each.action, each.outcome, each.concerns_id) for each in acts] == [("ask_score", outcome, subject)]


def test_strangers_are_counted_and_stored_once_a_minute(sqlite_world):
    w = sqlite_world
    before = trail(w)
    for number in range(7):
        w.client.get("/v1/loans", headers={"Authorization": f"Bearer txk_wrong{number}"})
        w.client.post("/v1/loans", json={"n": number})
    for _ in range(3):
        w.client.get("/v1/loans")
    assert since(w, before) == []
    w.parts.audit.tick(w.now)
    (event,) = since(w, before)
    assert told(event) == ("", "knock", "refused", "unauthenticated", "testclient", "")
    assert event.count == 17
    w.parts.audit.tick(w.now)
    assert len(since(w, before)) == 1


def test_more_addresses_than_are_told_apart_are_counted_together(monkeypatch):
    monkeypatch.setattr(strangers_module, "ADDRESSES_MAX", 3)
    strangers = Strangers()
    for number in range(100):
        strangers.count(f"10.0.0.{number}", "unauthenticated")
        strangers.count("10.0.0.0", "unauthenticated")
    counts = {event.object_id: event.count for event in strangers.take(None)}
    assert counts == {"10.0.0.0": 101, "10.0.0.1": 1, "10.0.0.2": 1, "others": 97}
    assert strangers.take(None) == []


def test_an_organisation_reads_its_own_events_by_pages(sqlite_world):
    w = sqlite_world
    for _ in range(5):
        w.get("bank-gusu", "/v1/customers?limit=1")
        w.get("bank-jinji", "/v1/customers?limit=1")
    mine = [each.seq for each in trail(w) if each.organisation_id == "bank-gusu"]
    found, path = [], "/v1/audit-events?limit=2"
    while path:
        headers = {"Authorization": f"Bearer {w.keys['bank-gusu']}"}
        answer = w.client.get(path, headers=headers)
        found += answer.json()
        link = answer.headers.get("Link")
        path = link and re.match(r"<(.*)>", link).group(1)
    assert {each["organisation_id"] for each in found} == {"bank-gusu"}
    # The first page shows its own read first; later pages are read after it and so do not show theirs.
    assert [each["seq"] for each in found][1:] == sorted(mine, reverse=True)
    head = w.get("bank-jinji", "/v1/audit-events/head")
    assert head == {"seq": trail(w)[-1].seq, "hash": trail(w)[-1].hash}


def tanxin(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_verifies_the_trail_and_an_exported_head(sqlite_world, tmp_path):
    w = sqlite_world
    w.get("bank-gusu", "/v1/customers?limit=1")
    home, kept = w.parts.settings.home, tmp_path / "head.json"
    printed = tanxin("audit", "head", "--home", home).stdout
    kept.write_text(printed)
    assert json.loads(printed)["seq"] == len(trail(w))
    checked = tanxin("audit", "verify", "--home", home, "--head", kept)
    assert (checked.exit_code, f"{len(trail(w))} events" in checked.stdout) == (0, True), checked.output
    for change in ({"signature": "0" * 128}, {"hash": "0" * 64}, {"seq": 7}):
        kept.write_text(json.dumps(json.loads(printed) | change))
        assert tanxin("audit", "verify", "--home", home, "--head", kept).exit_code == 2
    kept.write_text("nonsense")
    assert tanxin("audit", "verify", "--home", home, "--head", kept).exit_code == 2
    assert tanxin("audit", "verify", "--home", home, "--head", tmp_path / "none").exit_code == 2
    assert tanxin("audit", "verify", "--home", tmp_path / "none").exit_code == 2
    unsigned = {"seq": len(trail(w)) + 1, "hash": "0" * 64}
    kept.write_text(json.dumps(unsigned))
    broken = tanxin("audit", "verify", "--home", home, "--head", kept)
    assert (broken.exit_code, "cut off" in broken.stderr) == (1, True)


def test_an_orderly_stop_anchors_the_head(sqlite_world):
    w = sqlite_world
    w.get("bank-gusu", "/v1/customers?limit=1")
    w.client.get("/v1/loans")
    w.now += timedelta(minutes=1)
    w.parts.close()
    checked = tanxin("audit", "verify", "--home", w.parts.settings.home)
    assert "0 follow the last of them" in checked.stdout, checked.output
    with pytest.raises(WriterClosed):
        w.parts.writer.submit(lambda unit: unit)


def test_what_the_trail_costs_is_measured_on_the_same_questions(sqlite_world):
    w = sqlite_world
    subject = w.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    consent = w.consent("bank-gusu", subject)["consent_id"]
    question = {"subject_id": subject, "consent_id": consent, "purpose": "credit_application"}
    kept, before = w.parts.audit, trail(w)
    found = measure_cost(w.client.app, w.parts, w.keys["bank-gusu"], [question], rounds=1)
    assert found.scores == 1
    assert min(found.with_both_us, found.with_neither_us) > 0
    # One round and the one before it, with the trail; twice as many without it.
    assert [each.action for each in since(w, before)] == ["ask_score"] * 2
    assert w.parts.audit is kept


def test_coming_in_and_what_is_done_with_secrets_is_told(sqlite_world):
    w = sqlite_world
    before = trail(w)
    w.second("grid-sip")
    made = w.post("grid-sip", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    w.entered("grid-sip", made, "viewer")
    w.post("grid-sip", "/v1/keys", {"label": "x"})
    w.revoke("grid-sip")
    told_of = [(each.action, each.outcome, each.object_id) for each in since(w, before)]
    for action, object_id in (("invite_person", made), ("accept_invitation", made)):
        assert (action, "committed", object_id) in told_of
    assert [each[0] for each in told_of].count("issue_key") == 1
    assert told_of[-1][0] == "revoke_key"


def test_a_regulator_that_reads_for_another_is_told_of_by_its_own_name(sqlite_world):
    w = sqlite_world
    w.admit("regulator-a", "regulator", by="exchange-seee")
    before = trail(w)
    w.client.get("/v1/customers?limit=1", headers=w.bearer("regulator-a") | {"Tanxin-Read-As": "bank-gusu"})
    first, second = since(w, before)
    assert (first.organisation_id, first.action, first.concerns_id) == ("regulator-a", "read_as", "bank-gusu")
    assert (second.organisation_id, second.action, second.person) == ("bank-gusu", "read_customers", first.person)


def test_only_auditors_and_administrators_read_the_trail(sqlite_world):
    w = sqlite_world
    invited = w.post("bank-gusu", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    w.keys["other"] = w.entered("bank-gusu", invited)
    assert w.get("other", "/v1/audit-events", status=403).json()["code"] == "forbidden"
    assert w.get("bank-gusu", "/v1/audit-events")
