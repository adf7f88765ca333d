"""Two registries with services and books of their own: credits cross by two signed messages, and count in one book."""

import json
from dataclasses import replace
from datetime import date

import pytest
from holder import Holder
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from typer.testing import CliRunner
from world import World

from credit_api.cli.main import app
from financing.base.signing import message_of
from financing.ledger.serials import parse_serial
from financing.registry.transfers.messages import EXPORT_DOMAIN, RECEIPT_DOMAIN

HOME, AWAY, OWNER = "registry-sip", "registry-hailing", "dev-a"
SENT = 100_000


class Side:
    """One registry's own service: its signing key, and the other's as its people registered it."""

    def __init__(self, world, own, other):
        self.world, self.own, self.other = world, own, other
        self.holder = Holder(world, own)
        self.holder.registered()

    def knows(self, side):
        """The other registry's key is registered here by that registry itself, which takes part here too."""
        there = Holder(self.world, side.own)
        there.key, there.public_key = side.holder.key, side.holder.public_key
        there.registered()

    def receives(self, message, *, path="/v1/transfer-imports"):
        body = {"export": carried(message)}
        known = self.world.post(self.own, path, body, status=None) if self.knew(message) else None
        return known or self.holder.post(path, body)

    def knew(self, message):
        where = f"/v1/transfer-imports/{message['from_registry']}/{message['transfer_id']}"
        answer = self.world.client.get(where, headers=self.world.bearer(self.own))
        return answer.is_success

    def counts(self):
        return self.world.get(self.own, f"/v1/transfer-reconciliation?other={self.other}")


def carried(message):
    return {name: message[name] for name in ("document", "public_key", "signature")}


@pytest.fixture
def sides(tmp_path, founded_world):
    with (
        World.copied(founded_world, tmp_path / "sip") as home,
        World.copied(founded_world, tmp_path / "hailing") as away,
    ):
        for world in (home, away):
            world.admit(OWNER, "developer")
        one, other = Side(home, HOME, AWAY), Side(away, AWAY, HOME)
        one.knows(other)
        other.knows(one)
        yield one, other


def sent(side, *, to="hailing", quantity_kg=SENT):
    """Credits of the owner, locked for the other region and told of: (issuance, message)."""
    issuances = side.world.get(OWNER, "/v1/issuances")
    issuance = issuances[0]["issuance_id"] if issuances else side.world.desk.credits(OWNER).issuance_id
    body = {"issuance_id": issuance, "quantity_kg": quantity_kg, "to_region": to}
    transfer = side.world.post(OWNER, "/v1/transfers", body)
    return issuance, side.holder.post(f"/v1/transfers/{transfer['transfer_id']}/dispatch")


def settled(side, receipt, **changed):
    path = f"/v1/transfers/{receipt['transfer_id']}/receipt"
    return side.world.post(side.own, path, carried(receipt) | changed)


def contradictions(one, other, tmp_path):
    """What `tanxin registry reconcile` says of both sides' counts."""
    files = []
    for side in (one, other):
        files.append(tmp_path / f"{side.own}.json")
        files[-1].write_text(json.dumps(side.counts()))
    done = CliRunner().invoke(app, ["registry", "reconcile", *map(str, files)])
    return done.exit_code, done.stdout


def test_a_kilogram_leaves_one_book_and_comes_to_the_other(sides, tmp_path):
    home, away = sides
    issuance, message = sent(home)
    assert message["document"]["quantity_kg"] == SENT
    assert contradictions(home, away, tmp_path)[0] == 0, "what is on its way contradicts nothing"
    receipt = away.receives(message)
    assert (receipt["document"]["outcome"], receipt["document"]["minted_kg"]) == ("minted", SENT)
    closed = settled(home, receipt)
    assert (closed["state"], closed["minted_issuance_id"]) == ("minted", receipt["document"]["issuance_id"])
    assert home.world.balance(OWNER, "exported", f"PHCER:{issuance}") == SENT
    assert home.world.balance(OWNER, "escrow", f"PHCER:{issuance}") == 0
    arrived = f"PHCER:{receipt['document']['issuance_id']}"
    assert away.world.balance(OWNER, "holding", arrived) == SENT
    code, told = contradictions(home, away, tmp_path)
    assert (code, f"{HOME} to {AWAY}: {SENT} kg left, {SENT} kg came" in told) == (0, True)
    # What came is as good as what was issued there: it is retired under the other region's serial numbers.
    body = {"issuance_id": arrived.removeprefix("PHCER:"), "quantity_kg": 40_000, "purpose": "2026"}
    certificate = away.world.post(OWNER, "/v1/retirements", body | {"beneficiary": OWNER})
    assert certificate["serials"][0].split("-")[0] != "SIP"
    for side in sides:
        side.world.verify()


def test_messages_that_come_twice_or_late_change_nothing(sides, tmp_path):
    home, away = sides
    _, message = sent(home)
    again = home.world.post(HOME, f"/v1/transfers/{message['transfer_id']}/dispatch")
    assert carried(again) == carried(message)
    receipt = away.receives(message)
    before = away.world.snapshot()
    assert carried(away.receives(message)) == carried(receipt)
    lost = away.world.get(AWAY, f"/v1/transfer-imports/{HOME}/{message['transfer_id']}")
    assert carried(lost) == carried(receipt)
    assert away.world.snapshot() == before
    # The receipt was lost, and the owner would have the credits back: what was told waits for the other's word.
    path = f"/v1/transfers/{message['transfer_id']}"
    home.world.assert_refused(OWNER, f"{path}/refusal", None, "invalid_state")
    home.world.assert_refused(AWAY, f"{path}/minting", None, "invalid_state")
    settled(home, receipt)
    closed = home.world.snapshot()
    assert settled(home, lost)["state"] == "minted"
    assert home.world.snapshot() == closed
    kept = home.world.get(OWNER, f"{path}/messages")
    assert (kept["export"]["kind"], carried(kept["receipt"])) == ("export", carried(receipt))
    assert contradictions(home, away, tmp_path)[0] == 0


def test_what_is_refused_goes_back_and_is_never_minted(sides, tmp_path):
    home, away = sides
    issuance, message = sent(home)
    receipt = away.receives(message, path="/v1/transfer-imports/refusals")
    assert (receipt["document"]["outcome"], receipt["document"]["minted_kg"]) == ("refused", 0)
    held = home.world.balance(OWNER, "holding", f"PHCER:{issuance}")
    assert settled(home, receipt)["state"] == "refused"
    assert home.world.balance(OWNER, "holding", f"PHCER:{issuance}") == held + SENT
    away.world.assert_refused(AWAY, "/v1/transfer-imports", {"export": carried(message)}, "invalid_state")
    assert contradictions(home, away, tmp_path)[0] == 0
    # The same credits may be sent again, in another transfer.
    _, message = sent(home, quantity_kg=held + SENT)
    assert settled(home, away.receives(message))["state"] == "minted"
    assert contradictions(home, away, tmp_path)[0] == 0


def test_a_carrier_changes_nothing(sides):
    home, away = sides
    _, message = sent(home)
    for name, value in (
        ("quantity_kg", SENT * 2),
        ("mintable_kg", SENT * 2),
        ("owner_id", "buyer-b"),
        ("locked_at", "2026-01-01T00:00:00+00:00"),
        ("transfer_id", "trf_another"),
    ):
        bent = carried(message) | {"document": message["document"] | {name: value}}
        away.world.assert_refused(AWAY, "/v1/transfer-imports", {"export": bent}, "signature_invalid")
    elsewhere = {"export": carried(message)}
    away.world.assert_refused("registry-chuzhou", "/v1/transfer-imports", elsewhere, "not_permitted")
    receipt = away.receives(message)
    bent = carried(receipt) | {"document": receipt["document"] | {"minted_kg": 0, "outcome": "refused"}}
    path = f"/v1/transfers/{receipt['transfer_id']}/receipt"
    home.world.assert_refused(HOME, path, bent, "signature_invalid")
    # Nor does anybody else sign for a registry, nor a registry whose key was revoked.
    stranger = Holder(home.world, AWAY)
    forged = carried(receipt) | {
        "public_key": stranger.public_key,
        "signature": stranger.key.sign(message_of(RECEIPT_DOMAIN, receipt["document"])).hex(),
    }
    home.world.assert_refused(HOME, path, forged, "signature_invalid")
    home.world.post(AWAY, f"/v1/signing-keys/{away.holder.public_key}/revocation", {"why": "stolen"})
    home.world.assert_refused(HOME, path, carried(receipt), "signature_invalid")


def told_otherwise(side, message, **changed):
    """What a registry that lies would sign."""
    document = message["document"] | changed
    signature = side.holder.key.sign(message_of(EXPORT_DOMAIN, document)).hex()
    return {"export": {"document": document, "public_key": side.holder.public_key, "signature": signature}}


def test_a_registry_that_lies_about_what_it_locked_is_not_believed(sides):
    home, away = sides
    _, message = sent(home)
    serials, long_ago = message["document"]["serials"], date(2019, 1, 1)
    first = parse_serial(serials[0])
    for changed, code in (
        ({"mintable_kg": SENT * 2}, "not_eligible"),
        ({"quantity_kg": SENT * 2, "mintable_kg": SENT * 2}, "not_eligible"),
        ({"serials": serials * 2, "quantity_kg": SENT * 2, "mintable_kg": SENT * 2}, "not_eligible"),
        ({"serials": ["SIP-PHCER-1"]}, "not_eligible"),
        ({"serials": []}, "not_eligible"),
        ({"mode": "requantify"}, "not_eligible"),
        ({"owner_id": "nobody"}, "not_found"),
        ({"first_day": "yesterday"}, "not_eligible"),
        ({"vintage": 2024}, "not_eligible"),
        ({"methodology": "PV999"}, "not_eligible"),
        ({"methodology": "pv; drop"}, "not_eligible"),
        ({"project_id": "p" * 65}, "not_eligible"),
        ({"project_name": "a line\nbreak"}, "not_eligible"),
        ({"quantity_kg": 10**30, "mintable_kg": 10**30}, "not_eligible"),
        ({"quantity_kg": str(SENT)}, "not_eligible"),
        ({"latitude_udeg": 10**9}, "not_eligible"),
        ({"serials": [str(replace(first, methodology_tag="WETLAND1"))]}, "not_eligible"),
        ({"serials": [str(replace(first, vintage=2019, first_day=long_ago, last_day=long_ago))]}, "not_eligible"),
        ({"locked_at": "2099-01-01T00:00:00+00:00"}, "not_eligible"),
        ({"locked_at": f"{message['document']['last_day']}T00:00:00+00:00"}, "not_eligible"),
        ({"project_name": "nothing\x00"}, "invalid_request"),
    ):
        away.world.assert_refused(AWAY, "/v1/transfer-imports", told_otherwise(home, message, **changed), code)
    away.receives(message)
    # The same credits in another transfer, or another message of the same transfer.
    twice = told_otherwise(home, message, transfer_id="trf_again")
    away.world.assert_refused(AWAY, "/v1/transfer-imports", twice, "already_exists")
    other = told_otherwise(home, message, owner_id="registry-sip")
    away.world.assert_refused(AWAY, "/v1/transfer-imports", other, "invalid_state")


@pytest.mark.parametrize("name", ["import", "receipt"])
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"from_registry": HOME},
        {"from_registry": HOME, "to_registry": AWAY, "transfer_id": "t", "deep": {"a": [1.5]}},
        {"from_registry": HOME, "to_registry": AWAY, "transfer_id": "t", "odd": "\ud800"},
        {"from_registry": [HOME], "to_registry": {"x": AWAY}, "transfer_id": 7},
    ],
)
def test_what_is_no_message_is_refused_with_a_word(sides, name, document):
    home, away = sides
    message = {"document": document, "public_key": home.holder.public_key, "signature": "0" * 128}
    if name == "import":
        side, path, body = away, "/v1/transfer-imports", {"export": message}
    else:
        side, path, body = home, f"/v1/transfers/{sent(home)[1]['transfer_id']}/receipt", message
    headers = side.world.bearer(side.own) | {"Idempotency-Key": "odd", "Content-Type": "application/json"}
    answer = side.world.client.post(path, content=json.dumps(body), headers=headers)
    assert answer.status_code in (403, 404, 422), answer.text


def test_a_registry_that_mints_other_kilograms_is_found_out(sides, tmp_path):
    home, away = sides
    _, message = sent(home)
    receipt = away.receives(message)
    path, before = f"/v1/transfers/{receipt['transfer_id']}/receipt", home.world.snapshot()
    for changed in (
        {"minted_kg": SENT + 1},
        {"minted_kg": 0},
        {"outcome": "refused"},
        {"export_sha256": "0" * 64},
        {"transfer_id": receipt["transfer_id"], "outcome": "lost"},
    ):
        document = receipt["document"] | changed
        signature = away.holder.key.sign(message_of(RECEIPT_DOMAIN, document)).hex()
        body = {"document": document, "public_key": away.holder.public_key, "signature": signature}
        home.world.assert_refused(HOME, path, body, "invalid_state")
    assert home.world.snapshot() == before
    # It keeps its receipt to itself: the home registry counts nothing as gone, and both counts say so.
    assert contradictions(home, away, tmp_path)[0] == 0
    settled(home, receipt)
    ours, theirs = home.counts(), away.counts()
    theirs["imported"] = {}
    for name, count in (("ours", ours), ("theirs", theirs)):
        (tmp_path / f"{name}.json").write_text(json.dumps(count))
    arguments = ["registry", "reconcile", str(tmp_path / "ours.json"), str(tmp_path / "theirs.json")]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, f"{SENT} kg left {HOME}, 0 kg came to {AWAY}" in done.stdout) == (1, True)


def test_credits_worth_less_there_are_minted_by_both_regions_factors(tmp_path, founded_world):
    with (
        World.copied(founded_world, tmp_path / "sip") as home,
        World.copied(founded_world, tmp_path / "chuzhou") as away,
    ):
        for world in (home, away):
            world.admit(OWNER, "developer")
        one, other = Side(home, HOME, "registry-chuzhou"), Side(away, "registry-chuzhou", HOME)
        one.knows(other)
        other.knows(one)
        _, message = sent(one, to="chuzhou")
        document = message["document"]
        assert document["mode"] == "requantify"
        assert 0 < document["mintable_kg"] <= SENT
        receipt = other.receives(message)
        assert receipt["document"]["minted_kg"] == document["mintable_kg"]
        assert settled(one, receipt)["state"] == "minted"
        assert contradictions(one, other, tmp_path)[0] == 0


def test_credits_come_back_and_go_on_under_numbers_of_their_own(sides, tmp_path):
    """There and back again: each book counts what is in it, and what once left stays gone."""
    home, away = sides
    issuance, message = sent(home)
    there = away.receives(message)
    settled(home, there)
    body = {"issuance_id": there["document"]["issuance_id"], "quantity_kg": 60_000, "to_region": "suzhou"}
    back = away.world.post(OWNER, "/v1/transfers", body)
    returning = away.holder.post(f"/v1/transfers/{back['transfer_id']}/dispatch")
    here = home.receives(returning)
    settled(away, here)
    assert home.world.balance(OWNER, "exported", f"PHCER:{issuance}") == SENT
    assert home.world.balance(OWNER, "holding", f"PHCER:{here['document']['issuance_id']}") == 60_000
    assert away.world.balance(OWNER, "holding", f"PHCER:{there['document']['issuance_id']}") == SENT - 60_000
    assert contradictions(home, away, tmp_path)[0] == 0
    for side in sides:
        side.world.verify()


def test_frozen_credits_are_not_told_of(sides):
    home, _ = sides
    issuance = home.world.desk.credits(OWNER).issuance_id
    body = {"issuance_id": issuance, "quantity_kg": SENT, "to_region": "hailing"}
    transfer = home.world.post(OWNER, "/v1/transfers", body)["transfer_id"]
    home.world.post(HOME, "/v1/freezes", {"issuance_id": issuance, "reason": "looked into"})
    home.world.assert_refused(HOME, f"/v1/transfers/{transfer}/dispatch", {}, "credits_frozen")


def test_a_message_stays_as_it_was_signed(world):
    """By the schema, in both databases."""
    told = {"from": HOME, "to": AWAY, "key": "0" * 64, "signature": "0" * 128, "at": world.now}
    row = "INSERT INTO transfer_message VALUES (:from, 'trf_1', :to, 'export', :key, :signature, '{}', :at)"
    with world.parts.engine.begin() as connection:
        connection.execute(text(row), told)
    for attempt in ("UPDATE transfer_message SET document = '[]'", "DELETE FROM transfer_message"):
        with pytest.raises(DatabaseError), world.parts.engine.begin() as connection:
            connection.execute(text(attempt))


def changed_key(side, *services):
    """A registry changes its key in the usual way: the next one is registered everywhere, then the old one revoked."""
    new, old = Holder(services[0].world, side.own), side.holder.public_key
    for service in services:
        there = Holder(service.world, side.own)
        there.key, there.public_key = new.key, new.public_key
        there.registered()
        service.world.post(side.own, f"/v1/signing-keys/{old}/revocation", {"why": "a yearly change"})
    side.holder.key, side.holder.public_key = new.key, new.public_key


def test_a_key_that_is_changed_while_an_export_is_on_its_way_locks_nothing(sides, tmp_path):
    home, away = sides
    issuance, message = sent(home)
    changed_key(home, home, away)
    away.world.assert_refused(AWAY, "/v1/transfer-imports", {"export": carried(message)}, "signature_invalid")
    again = home.holder.post(f"/v1/transfers/{message['transfer_id']}/dispatch")
    assert again["document"] == message["document"]
    assert again["public_key"] == home.holder.public_key != message["public_key"]
    settled(home, away.receives(again))
    assert home.world.balance(OWNER, "exported", f"PHCER:{issuance}") == SENT
    assert contradictions(home, away, tmp_path)[0] == 0


def test_a_key_that_is_changed_while_a_receipt_is_on_its_way_locks_nothing(sides, tmp_path):
    home, away = sides
    issuance, message = sent(home)
    receipt = away.receives(message)
    code, told = contradictions(home, away, tmp_path)
    assert (code, "1 on the way, 1 of them answered there" in told) == (0, True)
    changed_key(away, away, home)
    path = f"/v1/transfers/{receipt['transfer_id']}/receipt"
    home.world.assert_refused(HOME, path, carried(receipt), "signature_invalid")
    again = away.holder.post("/v1/transfer-imports", {"export": carried(message)})
    assert (again["document"], again["public_key"]) == (receipt["document"], away.holder.public_key)
    settled(home, again)
    assert home.world.balance(OWNER, "exported", f"PHCER:{issuance}") == SENT


def test_messages_are_carried_as_they_are_answered(sides):
    home, away = sides
    _, message = sent(home)
    receipt = away.holder.post("/v1/transfer-imports", {"export": message})
    assert home.world.post(HOME, f"/v1/transfers/{message['transfer_id']}/receipt", receipt)["state"] == "minted"
    body = {"export": message | {"more": 1}}
    away.world.assert_refused(AWAY, "/v1/transfer-imports", body, "invalid_request")


def test_no_plant_takes_a_code_of_credits_from_elsewhere(sides):
    """One did, and every import was an internal error from then on."""
    home, away = sides
    away.world.admit("dev-z", "developer")
    for code in ("I00000001", "X00000001"):
        away.world.assert_refused("dev-z", "/v1/projects", away.world.project_body(code), "serial_invalid")
    # Books of before may have one.
    away.world.post("dev-z", "/v1/projects", away.world.project_body("I0000001"))
    with away.world.parts.engine.begin() as connection:
        connection.execute(text("UPDATE project SET code = 'I00000001' WHERE code = 'I0000001'"))
    _, message = sent(home)
    receipt = away.receives(message)
    assert receipt["document"]["outcome"] == "minted"
    assert [each["code"] for each in away.world.get(OWNER, "/v1/projects") if each["code"].startswith("I")] in (
        ["I00000002"], [],
    )  # fmt: skip
