"""`tanxin consent`: what it prints is what the service takes, and what it cannot sign it refuses by code."""

import json

from command_line import CliRunner, app


def tanxin(home, *arguments):
    return CliRunner().invoke(app, ["consent", *arguments], env={"TANXIN_HOME": str(home)})


def test_what_is_signed_is_recorded_and_what_is_withdrawn_too(sqlite_world):
    world = sqlite_world
    home = world.parts.settings.home
    subject = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    signed = tanxin(
        home, "sign", "--subject", subject, "--bank", "bank-gusu", "--purposes", "credit_application,loan_review"
    )
    assert signed.exit_code == 0, signed.stderr
    document = json.loads(signed.stdout)
    recorded = world.post("bank-gusu", "/v1/consents", document)
    assert recorded["purposes"] == ["credit_application", "loan_review"]
    assert recorded["scope"] == ["bank_file", "electricity"]
    again = tanxin(home, "sign", "--subject", subject, "--bank", "bank-gusu")
    assert json.loads(again.stdout)["consent_id"] != document["consent_id"]

    bye = tanxin(home, "withdraw", document["consent_id"], "--bank", "bank-gusu")
    path = f"/v1/consents/{document['consent_id']}/withdrawal"
    withdrawn = world.post("bank-gusu", path, json.loads(bye.stdout))
    assert (withdrawn["withdrawn_by"], withdrawn["withdrawn_at"] is None) == ("bank-gusu", False)


def test_refusals_have_a_code_and_end_with_two(sqlite_world, tmp_path):
    home = sqlite_world.parts.settings.home
    cases = (
        (tmp_path, ["sign", "--subject", "S", "--bank", "bank-gusu"], "data_missing"),
        (home, ["sign", "--subject", "S", "--bank", "bank-gusu", "--purposes", "curiosity"], "invalid_consent"),
        (home, ["sign", "--subject", "S", "--bank", "bank-gusu", "--scope", "gas"], "invalid_consent"),
        (home, ["withdraw", "con_none", "--bank", "bank-gusu"], "consent_missing"),
        (home, ["withdraw", "con_none", "--bank", "bank-none"], "not_permitted"),
    )
    for where, arguments, code in cases:
        done = tanxin(where, *arguments)
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error {code}: ")
        assert done.stdout == ""
