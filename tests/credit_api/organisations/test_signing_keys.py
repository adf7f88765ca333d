"""Documents are signed where an organisation's key is: the service asks for a signature, checks it, and makes none."""

import json

import plants
import pytest
from desk import START
from holder import Holder, member
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from typer.testing import CliRunner

from credit_api.app.sandbox import admit_founders
from credit_api.app.settings import Settings
from credit_api.app.signers import FileSigner
from credit_api.app.wiring import assemble
from credit_api.cli.main import app
from financing.base.commands import SIGNING_TIME, UNSIGNED
from financing.base.errors import SignatureInvalid, SigningKeyMissing
from financing.base.signing import Signature, message_of, require_signed
from financing.ledger.signing import KEY_DOMAIN, key_document, require_known, signed_by_actor
from financing.lending.unit import UnitOfWork
from financing.market.auctions.contracts import OFFER_DOMAIN, offer_document
from financing.registry.metering.commands import KEY_DOMAIN as METER_DOMAIN
from financing.registry.metering.commands import load_readings, meter_key_document
from financing.registry.metering.readings import SIGNING_DOMAIN
from financing.registry.verification.statement import STATEMENT_DOMAIN

VERIFIER = "verifier-cqc"
WEAK = "01" + "00" * 31


@pytest.fixture
def stated(sqlite_world):
    """A verifier's statement that is to be made: (world, where it is posted, what it says)."""
    desk = sqlite_world.desk
    desk.admit("dev-a", "developer")
    project = desk.project("dev-a")
    desk.load()
    claim = desk.claim("dev-a", project)
    body = {
        "opinion": "positive",
        "commitment": claim.commitment(),
        "generation_wh": claim.generation().wh,
        "reduction_kg": claim.reduction.reduction.kg,
    }
    return sqlite_world, f"/v1/monitoring-periods/{claim.monitoring_period_id}/statement", body


def test_a_verifier_signs_where_its_key_is(stated):
    world, path, body = stated
    holder = Holder(world, VERIFIER)
    registered = holder.registered()
    assert (registered["held_by"], registered["revoked_at"]) == ("holder", None)
    asked = holder.asked(path, body)
    assert body["commitment"] in asked["context"]["to_sign"]

    # What is signed stands on the very text: another opinion under the same signature is refused, and asked for anew.
    given = holder.fields(asked)
    refused = world.post(VERIFIER, path, body | given | {"opinion": "negative"}, status=422).json()
    assert refused["code"] == "signature_invalid"
    assert '"opinion":"negative"' in refused["context"]["to_sign"]
    # Somebody else's key signs nothing, nor does the service in the verifier's stead.
    foreign = Holder(world, VERIFIER)
    forged = {"signature": foreign.signed(asked["context"]["to_sign"]), "signed_at": given["signed_at"]}
    world.assert_refused(VERIFIER, path, body | forged, "signature_invalid")
    assert world.get(VERIFIER, path.removesuffix("/statement"))["state"] == "submitted"

    accepted = world.post(VERIFIER, path, body | given)
    assert accepted["state"] == "accepted"
    signed = world.desk.look(lambda unit: unit.verification.statement(accepted["monitoring_period_id"]))
    assert signed.signature.public_key == holder.public_key
    world.desk.issue(world.desk.look(lambda unit: unit.periods.get(accepted["monitoring_period_id"])))
    world.verify()


def test_the_text_is_signed_within_a_quarter_of_an_hour(stated):
    world, path, body = stated
    holder = Holder(world, VERIFIER)
    holder.registered()
    given = holder.fields(holder.asked(path, body))
    world.now += SIGNING_TIME
    assert world.post(VERIFIER, path, body | given)["state"] == "accepted"


def test_a_text_of_long_ago_or_of_the_future_is_refused(stated):
    world, path, body = stated
    holder = Holder(world, VERIFIER)
    holder.registered()
    given = holder.fields(holder.asked(path, body))
    world.now += SIGNING_TIME * 1.01
    world.assert_refused(VERIFIER, path, body | given, "quantity_out_of_range")
    world.now -= SIGNING_TIME * 2
    world.assert_refused(VERIFIER, path, body | given, "quantity_out_of_range")


def test_a_key_is_registered_by_who_has_it_for_whom_it_signs(sqlite_world):
    world = sqlite_world
    holder, other = Holder(world, VERIFIER), Holder(world, VERIFIER)
    wrong = {"key": other.key}, {"of": "verifier-cti"}
    for changed in wrong:
        world.assert_refused(VERIFIER, "/v1/signing-keys", holder.registration(**changed), "signature_invalid")
    # Under a key of small order this signature fits any document.
    weak = {"public_key": WEAK, "proof": WEAK + "00" * 32}
    world.assert_refused(VERIFIER, "/v1/signing-keys", weak, "signature_invalid")
    holder.registered()
    taken = Holder(world, "verifier-cti")
    taken.key, taken.public_key = holder.key, holder.public_key
    world.assert_refused("verifier-cti", "/v1/signing-keys", taken.registration(), "already_exists")
    world.assert_refused(VERIFIER, "/v1/signing-keys", holder.registration(), "already_exists")
    ended = f"/v1/signing-keys/{holder.public_key}/revocation"
    world.assert_refused("verifier-cti", ended, {"why": "not mine"}, "not_found")
    # Anybody sees whose key it is.
    (seen,) = world.get("bank-gusu", f"/v1/organisations/{VERIFIER}/signing-keys")
    assert seen["public_key"] == holder.public_key


def test_keys_overlap_and_a_revoked_one_signs_nothing_more(stated):
    world, path, body = stated
    first, second = Holder(world, VERIFIER), Holder(world, VERIFIER)
    first.registered()
    second.registered()
    asked = first.asked(path, body)
    given = first.fields(asked)
    world.now += SIGNING_TIME / 3
    revoked = f"/v1/signing-keys/{first.public_key}/revocation"
    ended = world.post(VERIFIER, revoked, {"why": "the laptop was lost"})
    assert (ended["why"], ended["revoked_at"]) == ("the laptop was lost", world.now.isoformat().replace("+00:00", "Z"))
    assert world.post(VERIFIER, revoked, {"why": "again"}) == ended
    world.assert_refused(VERIFIER, path, body | given, "signature_invalid")
    assert world.post(VERIFIER, path, body | second.fields(asked))["state"] == "accepted"
    # With the last key gone nobody signs: the sandbox's own key does not come back.
    world.post(VERIFIER, f"/v1/signing-keys/{second.public_key}/revocation", {"why": "left"})
    world.desk.assert_refused(VERIFIER, "signing_key_missing", sign_something, "x")
    # What the revoked keys signed stays signed.
    period = path.split("/")[3]
    world.desk.issue(world.desk.look(lambda unit: unit.periods.get(period)))


def sign_something(unit, context, text):
    return signed_by_actor(unit, context, "test", {"text": text}, UNSIGNED)


def test_both_sides_sign_a_deal_with_keys_of_their_own(sqlite_world):
    world, desk = sqlite_world, sqlite_world.desk
    desk.admit("dev-a", "developer")
    desk.admit("buyer-a", "buyer")
    issuance = desk.credits("dev-a")
    desk.fund("buyer-a", 10_000_000)
    seller, buyer = member(world, "dev-a"), member(world, "buyer-a")
    terms = {
        "counterparty_id": "buyer-a",
        "side": "sell",
        "asset": f"PHCER:{issuance.issuance_id}",
        "quantity_kg": 40_000,
        "price_fen_per_tonne": 2_950,
        "expires_at": (world.now + SIGNING_TIME * 40).isoformat(),
    }
    deal = world.post("dev-a", "/v1/deals", terms)
    path = f"/v1/deals/{deal['deal_id']}/signature"
    assert seller.post(path)["state"] == "proposed"
    settled = buyer.post(path)
    assert settled["state"] == "settled"
    stored = desk.look(lambda unit: unit.otc.deal(deal["deal_id"]))
    assert [each.public_key for each in stored.signatures] == [seller.public_key, buyer.public_key]
    world.verify()


def test_a_falling_price_auction_is_offered_and_taken_with_signatures_that_work_once(sqlite_world):
    world, desk = sqlite_world, sqlite_world.desk
    desk.admit("dev-a", "developer")
    desk.admit("buyer-a", "buyer")
    issuance = desk.credits("dev-a")
    desk.fund("buyer-a", 10_000_000)
    seller, buyer = member(world, "dev-a"), member(world, "buyer-a")
    terms = {
        "asset": f"PHCER:{issuance.issuance_id}",
        "quantity_kg": 40_000,
        "reserve_fen_per_tonne": 2_000,
        "start_fen_per_tonne": 4_000,
        "increment_fen_per_tonne": 100,
        "step_seconds": 600,
        "format": "dutch",
        "opens_at": world.now.isoformat(),
        "closes_at": (world.now + SIGNING_TIME * 40).isoformat(),
    }
    signed = terms | seller.fields(seller.asked("/v1/auctions", terms))
    world.assert_refused("dev-a", "/v1/auctions", signed | {"reserve_fen_per_tonne": 1}, "signature_invalid")
    opened = world.post("dev-a", "/v1/auctions", signed)
    world.assert_refused("dev-a", "/v1/auctions", signed, "invalid_state")

    taking = {"quantity_kg": 10_000, "price_max_fen_per_tonne": 4_000}
    path = f"/v1/auctions/{opened['auction_id']}/takings"
    given = buyer.fields(buyer.asked(path, taking))
    world.assert_refused("buyer-a", path, taking | given | {"quantity_kg": 20_000}, "signature_invalid")
    world.now += SIGNING_TIME  # the price has fallen a step; what was signed was the price of then
    contract = world.post("buyer-a", path, taking | given)
    assert (contract["price_fen_per_tonne"], contract["state"]) == (4_000, "paid")
    world.assert_refused("buyer-a", path, taking | given, "invalid_state")
    (stored,) = desk.look(lambda unit: unit.auctions.contracts(opened["auction_id"]))
    assert [each.public_key for each in stored.signatures] == [seller.public_key, buyer.public_key]
    shown = desk.look(lambda unit: unit.auctions.get(opened["auction_id"]).terms)
    require_signed(shown.offer, message_of(OFFER_DOMAIN, offer_document(shown)), seller.public_key)
    world.verify()


def test_a_meter_changes_its_key(sqlite_world):
    world, desk = sqlite_world, sqlite_world.desk
    desk.admit("dev-a", "developer")
    desk.project("dev-a")
    meter, path = Holder(world, "M-PV1"), "/v1/meters/M-PV1/key"
    proof = meter.key.sign(message_of(METER_DOMAIN, meter_key_document("M-PV1", meter.public_key))).hex()
    body = {"public_key": meter.public_key, "proof": proof, "why": "the meter got a key of its own"}
    world.assert_refused("grid-gaoxin", path, body, "not_permitted")
    world.assert_refused("grid-sip", path, body | {"proof": "0" * 128}, "signature_invalid")
    world.assert_refused("grid-sip", path, body | {"public_key": WEAK, "proof": WEAK + "00" * 32}, "signature_invalid")
    assert world.post("grid-sip", path, body)["held_by"] == "meter"
    world.assert_refused("grid-sip", path, body, "already_exists")

    batch = plants.readings("M-PV1", 2)
    with pytest.raises(SignatureInvalid):
        desk.ask("grid-sip", load_readings, batch)
    signature = meter.key.sign(message_of(SIGNING_DOMAIN, batch.signed_document(""))).hex()
    assert desk.ask("grid-sip", load_readings, batch, signature).count == len(batch)


def test_outside_a_sandbox_the_service_signs_for_nobody(stated):
    """A home of a sandbox served as a real one: its keys lie there, and stay unused."""
    world, path, body = stated
    real = FileSigner(world.parts.settings.home / "signing")
    assert "grid-sip" in real.kept()  # of the metering statement that the sandbox signed
    for name in ("grid-sip", VERIFIER, "meter.M-PV1"):
        with pytest.raises(SigningKeyMissing):
            real.sign(name, b"anything")
        with pytest.raises(SigningKeyMissing):
            real.public_key(name)
    assert not (world.parts.settings.home / "signing" / f"{VERIFIER}.key").exists()
    world.parts.signer = real
    world.assert_refused(VERIFIER, path, body, "signing_key_missing")
    holder = Holder(world, VERIFIER)
    holder.registered()
    assert holder.post(path, body)["state"] == "accepted"


def test_what_a_service_signed_before_stays_verifiable(tmp_path):
    """Keys that an earlier version kept are registered when the service starts, and sign nothing outside a sandbox."""
    home = tmp_path / "home"
    parts = assemble(Settings(home=home, sandbox=True))
    parts.writer.execute(lambda unit: admit_founders(unit, START))
    parts.close()
    kept = FileSigner(home / "signing", for_others=True)
    signature = kept.sign("verifier-cqc", b"of before")
    kept.sign("nobody", b"not an organisation")
    parts = assemble(Settings(home=home))
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        require_known(unit, signature, b"of before")
        with pytest.raises(SignatureInvalid):
            require_known(unit, signature, b"of today")
        foreign = Signature("verifier-cti", signature.public_key, signature.signature)
        with pytest.raises(SignatureInvalid):
            require_known(unit, foreign, b"of before")
        (known,) = unit.signing_keys.of("verifier-cqc")
        assert known.held_by == "service"
    parts.close()
    parts = assemble(Settings(home=home))  # again changes nothing
    parts.close()


def test_a_key_on_record_is_only_ever_revoked(world):
    """By the schema: nobody moves a key to another organisation, revives or deletes one."""
    holder = Holder(world, VERIFIER)
    holder.registered()
    world.post(VERIFIER, f"/v1/signing-keys/{holder.public_key}/revocation", {"why": "left"})
    for attempt in (
        "UPDATE signing_key SET revoked_at = NULL",
        "UPDATE signing_key SET organisation_id = 'verifier-cti'",
        "DELETE FROM signing_key",
    ):
        with pytest.raises(DatabaseError), world.parts.engine.begin() as connection:
            connection.execute(text(attempt))


def test_the_signer_of_the_command_line(stated, tmp_path, monkeypatch):
    world, path, body = stated
    monkeypatch.setenv("TANXIN_SIGNING_PASSPHRASE", "a long passphrase")
    run, file = CliRunner(), tmp_path / "verifier.pem"
    made = run.invoke(app, ["sign", "key", str(file), "--organisation", VERIFIER])
    assert made.exit_code == 0, made.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    world.post(VERIFIER, "/v1/signing-keys", json.loads(made.stdout))
    again = run.invoke(app, ["sign", "proof", str(file), "--organisation", VERIFIER])
    assert json.loads(again.stdout) == json.loads(made.stdout)

    asked = world.post(VERIFIER, path, body, status=409).json()
    signed = run.invoke(app, ["sign", "document", str(file), "--yes"], input=json.dumps(asked))
    assert signed.exit_code == 0, signed.output
    assert world.post(VERIFIER, path, body | json.loads(signed.stdout))["state"] == "accepted"

    # A wrong passphrase, an answer without a text, a file that is there, a key for nobody: each with a word.
    monkeypatch.setenv("TANXIN_SIGNING_PASSPHRASE", "another passphrase")
    for arguments, given, word in (
        (["document", str(file), "--yes"], json.dumps(asked), "another passphrase"),
        (["document", str(file), "--yes"], "{}", "no answer with a text to sign"),
        (["key", str(file), "--organisation", VERIFIER], "", "File exists"),
        (["key", str(tmp_path / "new.pem")], "", "Missing option '--organisation'"),
    ):
        refused = run.invoke(app, ["sign", *arguments], input=given)
        assert refused.exit_code == 2, refused.output
        assert word in " ".join(refused.output.replace("│", " ").split()), refused.output
    assert not (tmp_path / "new.pem").exists()


@pytest.mark.parametrize(
    "text",
    [
        None, {"a": 1}, "", "a sentence", "tanxin-deal-v1", "tanxin-deal-v1\n[]", "tanxin-deal-v1\n{}\n",
        'tanxin-deal-v1\n{"a":1,"a":2}', 'tanxin-deal-v1\n{"a": 1}', 'tanxin-deal-v1\n{"a":1.5}', "other-v1\n{}",
        message_of(KEY_DOMAIN, key_document("verifier-cti", "11" * 32)).decode(),
    ],
)  # fmt: skip
def test_the_command_line_signs_documents_alone(text, tmp_path, monkeypatch):
    """A proof of a key for another organisation is no document, nor is what two readers would read differently."""
    file, run = tmp_path / "key.pem", CliRunner()
    monkeypatch.setenv("TANXIN_SIGNING_PASSPHRASE", "correct horse battery")
    run.invoke(app, ["sign", "key", str(file), "--organisation", VERIFIER])
    given = json.dumps({"context": {"to_sign": text}})
    refused = run.invoke(app, ["sign", "document", str(file), "--yes"], input=given)
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_what_is_signed_is_shown_as_it_is(tmp_path, monkeypatch):
    """A terminal would have taken the first line back, and shown the other one."""
    file, run = tmp_path / "key.pem", CliRunner()
    monkeypatch.setenv("TANXIN_SIGNING_PASSPHRASE", "correct horse battery")
    run.invoke(app, ["sign", "key", str(file), "--organisation", VERIFIER])
    document = {"opinion": "positive", "remarks": "\u202edesrever\u200b \u2028 苏州"}
    text = message_of(STATEMENT_DOMAIN, document).decode()
    given = json.dumps({"context": {"to_sign": text}})
    shown = run.invoke(app, ["sign", "document", str(file), "--yes"], input=given)
    assert shown.exit_code == 0
    assert r"\u202edesrever\u200b \u2028 苏州" in shown.stderr
    assert not {"\u202e", "\u200b", "\u2028"} & set(shown.stderr)
    hidden = text.replace("positive", "positive\x1b[2K\r")
    refused = run.invoke(
        app, ["sign", "document", str(file), "--yes"], input=json.dumps({"context": {"to_sign": hidden}})
    )
    assert refused.exit_code == 2, "raw control characters are no JSON"
