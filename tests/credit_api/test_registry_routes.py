"""The registry over /v1: what each route answers. The rules of a credit's life are the commands' own
(journeys/test_life_of_a_credit)."""

import pytest

REGISTRY, GRID = "registry-sip", "grid-sip"


def issued(world):
    world.admit("dev-a", "developer")
    return world.credits("dev-a")


@pytest.fixture
def held(tmp_path, ready_worlds):
    """Credits of `dev-a`: (world, issuance)."""
    with ready_worlds.copied("sqlite", tmp_path / "home", issued) as opened:
        yield opened


def kilograms(serial):
    *_, first, last, _check = serial.split("-")
    return int(last) - int(first) + 1


def test_an_issuance_says_what_it_carried(held):
    world, _ = held
    project = world.project("dev-a", "SMALL")
    world.post(GRID, "/v1/meters/M-SMALL/readings", world.readings_body(1, capacity_w=300_000))
    claim = world.claim("dev-a", project, days=1)
    world.accept(claim)
    body = {"monitoring_period_id": claim["monitoring_period_id"]}
    done = world.post(REGISTRY, "/v1/issuances", body)
    assert (done["carried_in_kg"], done["quantity_kg"], done["issuance_id"]) == (0, 0, None)
    assert done["carried_out_kg"] == claim["reduction_kg"]
    world.assert_refused(REGISTRY, "/v1/issuances", body, "period_already_issued")


def test_serials_are_frozen_let_go_and_revoked(held):
    world, issuance = held
    order = {"issuance_id": issuance["issuance_id"], "reason": "the meter was found tampered with"}
    whole = world.post(REGISTRY, "/v1/freezes", order)
    retirement = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1_000, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("dev-a", "/v1/retirements", retirement, "credits_frozen")
    assert world.post(REGISTRY, f"/v1/freezes/{whole['freeze_id']}/lifting")["state"] == "lifted"
    total = issuance["quantity_kg"]
    part = world.post(REGISTRY, "/v1/freezes", order | {"first_kg": total - 50_000 + 1, "last_kg": total})
    revoked = world.post(REGISTRY, f"/v1/freezes/{part['freeze_id']}/revocation")["cancellations"]
    assert [(each["owner_id"], each["quantity_kg"], each["ground"]) for each in revoked] == [
        ("dev-a", 50_000, "revoked")
    ]
    assert sum(map(kilograms, revoked[0]["serials"])) == 50_000
    history = world.get("dev-a", f"/v1/serials/{revoked[0]['serials'][0]}")
    assert (history["issuance_id"], history["frozen"]) == (issuance["issuance_id"], False)
    assert [(stay["entry_kind"], stay["owner_id"]) for stay in history["stays"]] == [
        ("issuance", "dev-a"), ("cancellation", "dev-a"),
    ]  # fmt: skip


def test_a_project_is_suspended_and_resumed(held):
    world, _ = held
    (project,) = world.get("dev-a", "/v1/projects")
    path = f"/v1/projects/{project['project_id']}"
    assert world.post(REGISTRY, f"{path}/suspension", {"reason": "site visit"})["suspended"] is True
    assert world.post(REGISTRY, f"{path}/resumption")["suspended"] is False


def test_a_package_is_filled_looked_through_redeemed_retired_and_closed(held):
    world, issuance = held
    body = {
        "code": "SIP-PV-2025",
        "name": "Suzhou rooftops 2025",
        "criteria": {"methodologies": ["PV"], "vintage_first": 2025, "vintage_last": 2025},
        "redemption": "oldest_first",
    }
    package = world.post(REGISTRY, "/v1/packages", body)
    late = world.post(REGISTRY, "/v1/packages", {**body, "code": "LATE", "criteria": {"vintage_first": 2026}})
    one = {"issuance_id": issuance["issuance_id"], "quantity_kg": 30_000}
    refused = world.assert_refused("dev-a", f"/v1/packages/{late['package_id']}/deposits", one, "not_eligible")
    assert refused["context"]["criterion"] == "vintage"
    path, total = f"/v1/packages/{package['package_id']}", issuance["quantity_kg"]
    world.post("dev-a", f"{path}/deposits", one)
    rest = world.post("dev-a", f"{path}/deposits", {})
    assert (rest["issuances"], rest["quantity_kg"]) == (1, total - 30_000)
    assert world.balance("dev-a", "holding", package["asset"]) == total
    world.price(3_000)
    content = world.get("dev-a", path)
    assert (content["quantity_kg"], content["value_fen"]) == (total, total * 3)
    assert [(line["methodology"], line["vintage"], line["issuances"]) for line in content["breakdown"]] == [
        ("PV1", 2025, 1)
    ]
    through = world.get("dev-a", f"{path}/constituents")
    assert sum(kilograms(serial) for each in through for serial in each["serials"]) == total
    out = world.post("dev-a", f"{path}/redemptions", {"quantity_kg": 10_000})
    assert sum(map(kilograms, out["serials"])) == 10_000
    use = {"quantity_kg": 5_000, "beneficiary": "Suzhou marathon", "purpose": "event"}
    assert sum(map(kilograms, world.post("dev-a", f"{path}/retirements", use)["serials"])) == 5_000
    assert world.post(REGISTRY, f"{path}/closure")["state"] == "closed"


def test_credits_are_sent_minted_and_given_back(held):
    world, issuance = held
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": 100_000, "to_region": "chengdu"}
    sent = world.post("dev-a", "/v1/transfers", body)
    assert (sent["mode"], sent["mintable_kg"]) == ("requantify", 100_000 * 140_400 // 597_800)
    minted = world.post("registry-chengdu", f"/v1/transfers/{sent['transfer_id']}/minting")
    assert minted["state"] == "minted"
    asset = f"PHCER:{minted['minted_issuance_id']}"
    assert world.balance("dev-a", "holding", asset) == sent["mintable_kg"]
    back = world.post("dev-a", "/v1/transfers", {**body, "to_region": "hailing"})
    assert (back["mode"], back["mintable_kg"]) == ("recognise", 100_000)
    assert world.post("registry-hailing", f"/v1/transfers/{back['transfer_id']}/refusal")["state"] == "refused"


def test_what_stands_in_a_claims_way_is_named(held):
    world, _ = held
    project = world.project("dev-a", "SOLD")
    world.post(GRID, "/v1/meters/M-SOLD/readings", world.readings_body())
    span = {"starts_at": "2025-03-01T00:00:00Z", "ends_at": "2025-04-01T00:00:00Z"}
    certificate = {"certificate_number": "GEC-1", "meter_id": "M-SOLD", "energy_wh": 1_000_000, **span}
    world.post(GRID, "/v1/green-certificates", certificate)
    assert world.post(GRID, "/v1/green-certificates/GEC-1/sale")["state"] == "sold"
    claim = {"project_id": project["project_id"], **span}
    world.assert_refused("dev-a", "/v1/monitoring-periods", claim, "double_claim")
    states = {each["certificate_number"]: each["state"] for each in world.get("dev-a", "/v1/green-certificates")}
    assert states == {"GEC-1": "sold"}
    elsewhere = {"scheme": "CCER", "subject_kind": "meter", "subject_id": "M-PV2", "reference": "CCER-17", **span}
    world.post(REGISTRY, "/v1/external-claims", elsewhere)
    refused = world.assert_refused("dev-a", "/v1/projects", world.project_body("PV2"), "double_claim")
    assert refused["context"]["scheme"] == "CCER"
    link = {"source_meter": "M-SOLD", "sink_kind": "vehicle", "sink_id": "V-1"}
    assert world.post(GRID, "/v1/energy-links", link) == link
