"""The console's forms: deciding by a statement that was pasted, and no inquiry where the gateway is off."""

import json

from signed_world import BANK, BORROWER, Apart, answered_here, decision_statement_t
from test_console_forms import Browser

from federated.nodes.statements import as_document


def test_the_consoles_form_takes_a_statement(sqlite_world, tmp_path):
    with Apart.opened(sqlite_world, tmp_path) as apart:
        pasted(apart)


def pasted(apart):
    browser = Browser(apart.world).act_as(BANK)
    page = f"/console/desk/decide?borrower={BORROWER}"
    fields = browser.hidden(page, "decide") | {
        "borrower_id": BORROWER, "inquiry_id": "", "product": "phcer_pledge_loan", "amount": "3000",
        "tenor_days": "180", "pledge_ids": apart.pledge["pledge_id"],
    }  # fmt: skip
    path = "/console/desk/decisions"
    assert "statement" in browser.post(path, fields | {"statement": "{}"}, status=422).text
    browser.post(path, fields, status=422)
    assert apart.rows(decision_statement_t) == []
    signed = json.dumps(as_document(apart.stated()))
    done = browser.post(path, fields | {"statement": signed})
    (row,) = apart.rows(decision_statement_t)
    assert done.headers["location"].startswith(f"/console/decisions/{row['decision_id']}")


def test_the_consoles_inquiry_is_refused_without_the_gateway(sqlite_world):
    world, inquiry, _ = answered_here(sqlite_world)
    browser = Browser(world).act_as(BANK)
    path = f"/console/scores/{inquiry['subject_id']}"
    fields = browser.hidden(path, "ask") | {"purpose": "credit_application"}
    fields["consent_id"] = inquiry["statement"]["statement"]["consent_id"]
    world.parts.settings = world.parts.settings.model_copy(update={"score_gateway": False})
    assert 'name="form" value="ask"' not in browser.get(path).text
    asked = len(world.get(BANK, "/v1/inquiries"))
    assert "gateway_off" in browser.post(f"{path}/inquiries", fields, status=501).text
    assert len(world.get(BANK, "/v1/inquiries")) == asked
