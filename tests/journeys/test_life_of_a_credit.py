"""What happens to credits beside trade and pledge, over /v1. Random commands on both databases take the
same ways (test_conservation); here two stories do."""

from datetime import UTC, datetime, timedelta

from kinds import on_both, one_kind  # noqa: F401

MARCH, MAY = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)


def kilograms(serial):
    *_, first, last, _check = serial.split("-")
    return int(last) - int(first) + 1


@on_both
def test_less_than_a_tonne_is_carried_over_until_it_fills_one(world):
    world.admit("dev-a", "developer")
    project = world.project("dev-a", "SMALL")
    world.post("grid-sip", "/v1/meters/M-SMALL/readings", world.readings_body(4, capacity_w=300_000))
    given = []
    for day in range(4):
        claim = world.claim("dev-a", project, first=MARCH + timedelta(days=day), days=1)
        world.accept(claim)
        body = {"monitoring_period_id": claim["monitoring_period_id"]}
        given.append((claim["reduction_kg"], world.post("registry-sip", "/v1/issuances", body)))
        again = {"monitoring_period_id": claim["monitoring_period_id"]}
        world.assert_refused("registry-sip", "/v1/issuances", again, "period_already_issued")
    carried = 0
    for reduction, issued in given:
        assert issued["carried_in_kg"] == carried
        assert carried + reduction == issued["quantity_kg"] + issued["carried_out_kg"]
        assert issued["quantity_kg"] % 1_000 == 0
        assert (issued["issuance_id"] is None) is (issued["quantity_kg"] == 0)
        carried = issued["carried_out_kg"]
    assert 0 < sum(issued["quantity_kg"] > 0 for _, issued in given) < 4
    world.verify()


def test_frozen_serials_stay_where_they_are(world):
    world.admit("dev-a", "developer")
    world.admit("buyer-a", "buyer")
    world.fund("buyer-a", 10_000_000)
    issuance = world.credits("dev-a")
    total = issuance["quantity_kg"]
    sale = {
        "buyer_id": "buyer-a",
        "asset": f"PHCER:{issuance['issuance_id']}",
        "quantity_kg": 100_000,
        "price_fen_per_tonne": 3_000,
        "expires_at": (world.now + timedelta(days=3)).isoformat(),
    }
    listing = world.post("dev-a", "/v1/listings", sale)
    purchases, whole = f"/v1/listings/{listing['listing_id']}/purchases", {"quantity_kg": 100_000}
    order = {"issuance_id": issuance["issuance_id"], "reason": "the meter was found tampered with"}
    world.assert_refused("dev-a", "/v1/freezes", order, "not_permitted")
    world.assert_refused("registry-chengdu", "/v1/freezes", order, "not_permitted")
    frozen = world.post("registry-sip", "/v1/freezes", order)
    world.assert_refused("registry-sip", "/v1/freezes", order, "invalid_state")

    # A listing made before the freeze does not settle; nothing else gets at the credits either.
    world.assert_refused("buyer-a", purchases, whole, "credits_frozen")
    retirement = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1_000, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("dev-a", "/v1/retirements", retirement, "credits_frozen")
    cancellation = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1_000, "reason": "no use"}
    world.assert_refused("dev-a", "/v1/cancellations", cancellation, "credits_frozen")
    transfer = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1_000, "to_region": "hailing"}
    world.assert_refused("dev-a", "/v1/transfers", transfer, "credits_frozen")
    world.assert_refused("dev-a", "/v1/listings", sale, "credits_frozen")

    world.post("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/lifting")
    world.post("buyer-a", purchases, whole)

    # A part: the last 50 t, which are the buyer's now. Its other credits move, these do not, and then they are revoked.
    part = {**order, "first_kg": total - 50_000 + 1, "last_kg": total}
    frozen = world.post("registry-sip", "/v1/freezes", part)
    world.assert_refused("buyer-a", "/v1/retirements", {**retirement, "quantity_kg": 50_001}, "credits_frozen")
    done = world.post("buyer-a", "/v1/retirements", {**retirement, "quantity_kg": 50_000})
    assert sum(map(kilograms, done["serials"])) == 50_000
    revoked = world.post("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/revocation")["cancellations"]
    assert [(each["owner_id"], each["quantity_kg"], each["ground"]) for each in revoked] == [
        ("buyer-a", 50_000, "revoked")
    ]
    assert sum(map(kilograms, revoked[0]["serials"])) == 50_000
    asset = f"PHCER:{issuance['issuance_id']}"
    assert world.balance("buyer-a", "cancelled", asset) == 50_000
    assert world.balance("buyer-a", "holding", asset) == 0
    history = world.get("dev-a", f"/v1/serials/{revoked[0]['serials'][0]}")
    kinds = ["issuance", "escrow", "trade", "retirement", "cancellation"]
    assert [stay["entry_kind"] for stay in history["stays"]] == kinds
    assert [stay["owner_id"] for stay in history["stays"]] == ["dev-a", "dev-a", "buyer-a", "buyer-a", "buyer-a"]
    world.assert_refused("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/lifting", None, "invalid_state")
    world.verify()


def test_pledged_credits_are_frozen_in_place_and_not_revoked(lent):
    world, loan, pledge, issuance = lent
    frozen = world.post("registry-sip", "/v1/freezes", {"issuance_id": issuance["issuance_id"], "reason": "doubt"})
    world.assert_refused("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/revocation", None, "credits_pledged")
    world.fund("dev-a", 1_000_000)
    world.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": loan["debt_fen"]})
    release = f"/v1/pledges/{pledge['pledge_id']}/release"
    world.assert_refused("bank-gusu", release, {"quantity_kg": 400_000}, "credits_frozen")
    world.post("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/lifting")
    world.post("bank-gusu", release, {"quantity_kg": 400_000})
    world.verify()


def test_a_suspended_project_neither_claims_nor_is_issued_anything(world):
    world.admit("dev-a", "developer")
    project = world.project("dev-a", "PV1")
    world.post("grid-sip", "/v1/meters/M-PV1/readings", world.readings_body(70))
    claim = world.claim("dev-a", project, days=30)
    world.accept(claim)
    path = f"/v1/projects/{project['project_id']}"
    assert world.post("registry-sip", f"{path}/suspension", {"reason": "site visit"})["suspended"] is True
    world.assert_refused("registry-sip", f"{path}/suspension", {"reason": "again"}, "invalid_state")
    body = {"monitoring_period_id": claim["monitoring_period_id"]}
    world.assert_refused("registry-sip", "/v1/issuances", body, "project_suspended")
    further = {
        "project_id": project["project_id"],
        "starts_at": (MARCH + timedelta(days=30)).isoformat(),
        "ends_at": (MARCH + timedelta(days=60)).isoformat(),
    }
    world.assert_refused("dev-a", "/v1/monitoring-periods", further, "project_suspended")
    assert world.post("registry-sip", f"{path}/resumption")["suspended"] is False
    world.post("registry-sip", "/v1/issuances", body)
    world.post("dev-a", "/v1/monitoring-periods", further)


@on_both
def test_small_reductions_become_one_product(world):
    """Three plants in one package: criteria, units, look-through, redemption by the package's rule, retirement."""
    world.admit("dev-a", "developer")
    world.admit("buyer-a", "buyer")
    issued = [world.credits("dev-a", code) for code in ("PV1", "PV2", "PV3")]
    body = {
        "code": "SIP-PV-2025",
        "name": "Suzhou rooftops 2025",
        "criteria": {"methodologies": ["PV"], "vintage_first": 2025, "vintage_last": 2025},
        "redemption": "oldest_first",
    }
    world.assert_refused("dev-a", "/v1/packages", body, "not_permitted")
    package = world.post("registry-sip", "/v1/packages", body)
    world.assert_refused("registry-sip", "/v1/packages", body, "already_exists")
    late = world.post("registry-sip", "/v1/packages", {**body, "code": "LATE", "criteria": {"vintage_first": 2026}})
    deposits = f"/v1/packages/{package['package_id']}/deposits"
    one = {"issuance_id": issued[0]["issuance_id"], "quantity_kg": 30_000}
    refused = world.assert_refused("dev-a", f"/v1/packages/{late['package_id']}/deposits", one, "not_eligible")
    assert refused["context"]["criterion"] == "vintage"
    world.post("dev-a", deposits, one)
    rest = world.post("dev-a", deposits, {})
    assert rest["issuances"] == 3
    total = sum(each["quantity_kg"] for each in issued)
    assert rest["quantity_kg"] == total - 30_000
    world.assert_refused("dev-a", deposits, {}, "not_eligible")
    assert world.balance("dev-a", "holding", package["asset"]) == total

    world.price(3_000)
    content = world.get("buyer-a", f"/v1/packages/{package['package_id']}")
    assert content["quantity_kg"] == total
    assert content["value_fen"] == total * 3
    assert [(line["methodology"], line["vintage"], line["issuances"]) for line in content["breakdown"]] == [
        ("PV1", 2025, 3)
    ]
    through = world.get("buyer-a", f"/v1/packages/{package['package_id']}/constituents")
    assert sum(kilograms(serial) for each in through for serial in each["serials"]) == total

    out = world.post("dev-a", f"/v1/packages/{package['package_id']}/redemptions", {"quantity_kg": 10_000})
    oldest = through[0]["issuance_id"]
    assert world.balance("dev-a", "holding", f"PHCER:{oldest}") == 10_000
    assert sum(map(kilograms, out["serials"])) == 10_000
    over = {"quantity_kg": total}
    world.assert_refused("dev-a", f"/v1/packages/{package['package_id']}/redemptions", over, "quantity_out_of_range")
    certificate = world.post(
        "dev-a",
        f"/v1/packages/{package['package_id']}/retirements",
        {"quantity_kg": through[0]["quantity_kg"], "beneficiary": "Suzhou marathon", "purpose": "event"},
    )
    assert sum(map(kilograms, certificate["serials"])) == through[0]["quantity_kg"]
    assert len({serial.split("-")[3] for serial in certificate["serials"]}) == 2
    world.post("registry-sip", f"/v1/packages/{package['package_id']}/closure")
    world.assert_refused("dev-a", deposits, {"issuance_id": oldest, "quantity_kg": 1_000}, "not_eligible")
    world.verify()


def test_a_package_pays_out_pro_rata(world):
    world.admit("dev-a", "developer")
    issued = [world.credits("dev-a", code) for code in ("PV1", "PV2", "PV3")]
    package = world.post("registry-sip", "/v1/packages", {"code": "ANY", "name": "Any", "redemption": "pro_rata"})
    for number, each in enumerate(issued, 1):
        body = {"issuance_id": each["issuance_id"], "quantity_kg": number * 1_000}
        world.post("dev-a", f"/v1/packages/{package['package_id']}/deposits", body)
    world.post("dev-a", f"/v1/packages/{package['package_id']}/redemptions", {"quantity_kg": 100})
    through = world.get("dev-a", f"/v1/packages/{package['package_id']}/constituents")
    left = {each["issuance_id"]: each["quantity_kg"] for each in through}
    taken = sorted(number * 1_000 - left[each["issuance_id"]] for number, each in enumerate(issued, 1))
    assert taken == [17, 33, 50]
    world.verify()


def test_credits_leave_for_another_region_and_are_minted_there_once(world):
    world.admit("dev-a", "developer")
    issuance = world.credits("dev-a")
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": 100_000, "to_region": "chengdu"}
    sent = world.post("dev-a", "/v1/transfers", body)
    # Sichuan's factor is 0.1404 against Jiangsu's 0.5978: the same energy avoids less there.
    assert sent["mode"] == "requantify"
    assert sent["mintable_kg"] == 100_000 * 140_400 // 597_800
    asset = f"PHCER:{issuance['issuance_id']}"
    assert world.balance("dev-a", "escrow", asset) == 100_000
    world.assert_refused("registry-sip", f"/v1/transfers/{sent['transfer_id']}/minting", None, "not_permitted")
    minted = world.post("registry-chengdu", f"/v1/transfers/{sent['transfer_id']}/minting")
    world.assert_refused("registry-chengdu", f"/v1/transfers/{sent['transfer_id']}/minting", None, "invalid_state")
    world.assert_refused("dev-a", f"/v1/transfers/{sent['transfer_id']}/refusal", None, "invalid_state")
    assert world.balance("dev-a", "exported", asset) == 100_000
    assert world.balance("dev-a", "escrow", asset) == 0
    assert world.balance("dev-a", "holding", f"PHCER:{minted['minted_issuance_id']}") == sent["mintable_kg"]
    certificate = world.post(
        "dev-a",
        "/v1/retirements",
        {
            "issuance_id": minted["minted_issuance_id"],
            "quantity_kg": 1_000,
            "beneficiary": "Chengdu games",
            "purpose": "event",
        },
    )
    assert certificate["serials"][0].startswith("CD-PHCER-PV1-X00000001-2025-")
    assert world.get("dev-a", f"/v1/serials/{certificate['serials'][0]}")["issuance_id"] == minted["minted_issuance_id"]

    back = world.post("dev-a", "/v1/transfers", {**body, "to_region": "hailing"})
    assert (back["mode"], back["mintable_kg"]) == ("recognise", 100_000)
    world.post("registry-hailing", f"/v1/transfers/{back['transfer_id']}/refusal")
    assert world.balance("dev-a", "escrow", asset) == 0
    hailing = {"issuance_id": minted["minted_issuance_id"], "quantity_kg": 1_000, "to_region": "hailing"}
    world.assert_refused("dev-a", "/v1/transfers", hailing, "not_eligible")
    world.verify()


def test_one_claim_for_one_benefit(world):
    world.admit("dev-a", "developer")
    project = world.project("dev-a", "PV1")
    span = {"starts_at": MARCH.isoformat(), "ends_at": MAY.isoformat()}
    world.post("grid-sip", "/v1/meters/M-PV1/readings", world.readings_body(61))

    # Certificates: an unsold one is frozen with the claim and cancelled with issuance; a sold one is left out.
    certificate = {"certificate_number": "GEC-1", "meter_id": "M-PV1", "energy_wh": 1_000_000, **span}
    world.assert_refused("grid-gaoxin", "/v1/green-certificates", certificate, "not_permitted")
    world.post("grid-sip", "/v1/green-certificates", certificate)
    world.post("grid-sip", "/v1/green-certificates", {**certificate, "certificate_number": "GEC-2"})
    world.post("grid-sip", "/v1/green-certificates/GEC-2/sale")
    claim = {"project_id": project["project_id"], **span}
    world.assert_refused("dev-a", "/v1/monitoring-periods", claim, "double_claim")
    taken = world.post("dev-a", "/v1/monitoring-periods", {**claim, "green_power_sold_wh": 1_000_000})
    states = {each["certificate_number"]: each["state"] for each in world.get("dev-a", "/v1/green-certificates")}
    assert states == {"GEC-1": "frozen", "GEC-2": "sold"}
    world.assert_refused("grid-sip", "/v1/green-certificates/GEC-1/sale", None, "invalid_state")
    late = {**certificate, "certificate_number": "GEC-3", "sold": True, "energy_wh": 2_000_000}
    world.assert_refused("grid-sip", "/v1/green-certificates", late, "double_claim")
    world.accept(taken)
    world.post("registry-sip", "/v1/issuances", {"monitoring_period_id": taken["monitoring_period_id"]})
    states = {each["certificate_number"]: each["state"] for each in world.get("dev-a", "/v1/green-certificates")}
    assert states["GEC-1"] == "cancelled"

    # Another scheme or the ETS: the site registers nothing here.
    elsewhere = {"scheme": "CCER", "subject_kind": "meter", "subject_id": "M-PV2", "reference": "CCER-17", **span}
    world.assert_refused("dev-a", "/v1/external-claims", elsewhere, "not_permitted")
    world.post("registry-sip", "/v1/external-claims", elsewhere)
    world.assert_refused("registry-sip", "/v1/external-claims", elsewhere, "already_exists")
    refused = world.assert_refused("dev-a", "/v1/projects", world.project_body("PV2"), "double_claim")
    assert refused["context"]["scheme"] == "CCER"
    ets = {**elsewhere, "scheme": "ETS", "subject_kind": "site", "subject_id": "PV3", "reference": "ETS 2025"}
    world.post("registry-sip", "/v1/external-claims", ets)
    world.assert_refused("dev-a", "/v1/projects", world.project_body("PV3"), "double_claim")

    # The plant feeds a pile: whoever claims second is refused.
    pile = world.project("dev-a", "PILE")
    world.post("grid-sip", "/v1/meters/M-PILE/readings", world.readings_body(61))
    link = {"source_meter": "M-PV1", "sink_kind": "meter", "sink_id": "M-PILE"}
    world.post("grid-sip", "/v1/energy-links", link)
    world.assert_refused("grid-sip", "/v1/energy-links", link, "already_exists")
    second = {"project_id": pile["project_id"], **span}
    refused = world.assert_refused("dev-a", "/v1/monitoring-periods", second, "double_claim")
    assert refused["context"]["claimed_by"] == taken["monitoring_period_id"]
    world.verify()
