"""Consent and scores in the console: refusals are logged and shown, no file is its own answer."""

import json
import re
from html import unescape

from test_console_forms import Browser


def consent(browser, subject, document, status=303):
    fields = browser.hidden(f"/console/scores/{subject}", "consent") | {"signed": json.dumps(document)}
    return browser.post(f"/console/scores/{subject}/consents", fields, status=status)


def sign(browser, **changes):
    fields = browser.hidden("/console/record", "sign") | {
        "bank_id": "bank-gusu",
        "purposes": ["credit_application"],
        "scope": ["bank_file", "electricity"],
        "grid_id": chosen(browser.get("/console/record").text),
        "valid_from": "2026-11-22",
        "valid_until": "2027-11-21",
    }
    status = changes.pop("status", 200)
    return browser.post("/console/record/signatures", fields | changes, status=status).text


def chosen(page):
    """The grid company that the form offers: the one that has the customer's file."""
    options = page[page.index('id="sign-grid_id"') :]
    return re.search(r'value="([^"]*)" selected', options)[1]


def signed_on(page):
    return json.loads(unescape(re.search(r'<textarea id="signed-consent"[^>]*>(.*?)</textarea>', page, re.DOTALL)[1]))


def ask(browser, subject, consent_id, purpose="credit_application", status=303):
    fields = browser.hidden(f"/console/scores/{subject}", "consent") | {"form": "ask"}
    path = f"/console/scores/{subject}/inquiries"
    return browser.post(path, fields | {"consent_id": consent_id, "purpose": purpose}, status=status)


def own_consent(world, subject):
    found = world.parts.network.consents_of(subject, "bank-gusu")
    return next(each.consent_id for each in found if each.consent_id.startswith("con_"))


def test_a_score_under_consent_and_what_refuses_it(sqlite_world):
    browser = Browser(sqlite_world).act_as("bank-gusu")
    subject = sqlite_world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    assert subject in browser.get("/console/scores").text
    assert subject in browser.get(f"/console/scores?subject={subject[:-1]}").text
    consent(browser, subject, sqlite_world.signed("bank-gusu", subject))
    consent_id = own_consent(sqlite_world, subject)

    page = browser.get(ask(browser, subject, consent_id).headers["location"]).text
    assert 'class="gauge-score"' in page
    assert "Generated data" in page

    refused = ask(browser, subject, consent_id, "model_training", status=403)
    assert "purpose_not_covered" in refused.text
    assert "consent_missing" in ask(browser, subject, "con_unknown", status=403).text
    assert "invalid_request" in ask(browser, subject, consent_id, "curiosity", status=422).text

    fields = browser.hidden(f"/console/scores/{subject}", f"withdraw-{consent_id}")
    browser.post(f"/console/scores/{subject}/withdrawals/{consent_id}", fields)
    assert "consent_withdrawn" in ask(browser, subject, consent_id, status=403).text
    log = browser.get("/console/inquiries").text
    assert log.count('class="state refused"') == 3
    assert log.count('class="state score"') == 1


def test_a_score_form_sent_twice_is_one_inquiry(sqlite_world):
    browser = Browser(sqlite_world).act_as("bank-gusu")
    subject = sqlite_world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    consent(browser, subject, sqlite_world.signed("bank-gusu", subject))
    fields = browser.hidden(f"/console/scores/{subject}", "ask") | {
        "consent_id": own_consent(sqlite_world, subject),
        "purpose": "credit_application",
    }
    path = f"/console/scores/{subject}/inquiries"
    first, second = browser.post(path, fields), browser.post(path, fields)
    assert first.headers["location"] == second.headers["location"]
    assert len(sqlite_world.get("bank-gusu", "/v1/inquiries")) == 1


def test_no_file_is_an_answer_of_its_own(sqlite_world):
    browser = Browser(sqlite_world).act_as("bank-gusu")
    consent(browser, "FIRM-99999", sqlite_world.signed("bank-gusu", "FIRM-99999"))
    assert "No file at this bank" in browser.get("/console/scores/FIRM-99999").text
    answer = ask(browser, "FIRM-99999", own_consent(sqlite_world, "FIRM-99999"))
    page = browser.get(answer.headers["location"]).text
    assert "That is not a low score" in page
    assert "gauge-score" not in page


def test_a_firm_signs_on_its_own_page_and_the_bank_records_that(sqlite_world):
    subject = sqlite_world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    sqlite_world.admit("dev-a", "developer", subject)
    firm, bank = Browser(sqlite_world).act_as("dev-a"), Browser(sqlite_world).act_as("bank-gusu")
    document = signed_on(sign(firm))
    assert document["consent_id"] not in bank.get(f"/console/scores/{subject}").text
    consent(bank, subject, document)
    answer = ask(bank, subject, document["consent_id"])
    assert 'class="gauge-score"' in bank.get(answer.headers["location"]).text
    record = firm.get("/console/record").text
    assert record[record.index('id="uses"') :].count("<td>Score</td>") >= 2


def test_contradictory_terms_are_not_signed(sqlite_world):
    subject = sqlite_world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    sqlite_world.admit("dev-a", "developer", subject)
    browser = Browser(sqlite_world).act_as("dev-a")
    assert "invalid_consent" in sign(browser, valid_until="2026-11-20", status=422)
    assert "invalid_consent" in sign(browser, purposes=[], status=422)
    assert "invalid_request" in sign(browser, purposes=["curiosity"], status=422)
    assert "invalid_request" in sign(browser, valid_from="soon", status=422)
    assert "invalid_request" in sign(browser, grid_id="", status=422)
    assert "invalid_consent" in sign(browser, scope=["bank_file"], status=422)
    assert sqlite_world.parts.network.consents_of(subject, "bank-gusu")[0].consent_id.startswith("CONS-")


def test_a_bank_records_only_what_its_customer_signed(sqlite_world):
    browser = Browser(sqlite_world).act_as("bank-gusu")
    document = sqlite_world.signed("bank-gusu", "FIRM-1")
    assert "invalid_request" in consent(browser, "FIRM-1", {"subject_id": "FIRM-1"}, status=422).text
    assert "invalid_request" in consent(browser, "FIRM-2", document, status=422).text
    edited = document | {"purposes": ["model_training"]}
    assert "consent_signature_invalid" in consent(browser, "FIRM-1", edited, status=403).text
    other = sqlite_world.signed("bank-jinji", "FIRM-1")
    assert "not_permitted" in consent(browser, "FIRM-1", other, status=403).text


def test_nobody_signs_for_a_firm_where_there_is_no_wallet(sqlite_world):
    subject = sqlite_world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    sqlite_world.admit("dev-a", "developer", subject)
    browser = Browser(sqlite_world).act_as("dev-a")
    fields = browser.hidden("/console/record", "sign")
    sqlite_world.parts.subject_signer = None
    assert "form-sign" not in browser.get("/console/record").text
    browser.post("/console/record/signatures", fields | {"bank_id": "bank-gusu"}, status=403)


def test_another_banks_inquiry_is_not_found(sqlite_world):
    inquiry = sqlite_world.score("bank-jinji", sqlite_world.get("bank-jinji", "/v1/customers?limit=1")[0]["subject_id"])
    browser = Browser(sqlite_world).act_as("bank-gusu")
    browser.get(f"/console/inquiries/{inquiry['inquiry_id']}", status=404)
