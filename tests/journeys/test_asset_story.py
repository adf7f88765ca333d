"""The asset's story from meter reading to certificate, over /v1 only, on SQLite and on PostgreSQL."""

from datetime import timedelta


def test_from_reading_to_retirement(lent):
    world, loan, pledge, issuance = lent
    asset = f"PHCER:{issuance['issuance_id']}"
    issued = issuance["quantity_kg"]
    # 60 days x 24 h of a known shape at 5 MW: 2.4 full-load hours a day, at 0.5978 kg/kWh.
    assert issued == int(5_000 * 2.4 * 60 * 0.5978) // 1_000 * 1_000
    assert world.balance("dev-a", "holding", asset) == issued - 400_000
    assert world.balance("dev-a", "pledged", asset) == 400_000
    assert world.balance("dev-a", "cash") == 500_000
    assert loan["coverage"] == "healthy"

    # An over-the-counter sale of what is not pledged, delivery versus payment.
    world.admit("buyer-a", "buyer")
    world.fund("buyer-a", 1_000_000)
    listing = world.post(
        "dev-a",
        "/v1/listings",
        {
            "buyer_id": "buyer-a",
            "asset": asset,
            "quantity_kg": 10_000,
            "price_fen_per_tonne": 3_100,
            "expires_at": (world.now + timedelta(days=3)).isoformat(),
        },
    )
    settled = world.post("buyer-a", f"/v1/listings/{listing['listing_id']}/purchases", {"quantity_kg": 10_000})
    assert settled["listing"]["state"] == "sold"
    assert settled["waterfall"] is None
    assert world.balance("buyer-a", "holding", asset) == 10_000
    assert world.balance("buyer-a", "cash") == 1_000_000 - 31_000 - 22
    assert world.balance("dev-a", "cash") == 531_000 - 22
    # What two parties agreed between them is no price of the class.
    assert world.get("dev-a", "/v1/marks/PHCER")["price_fen_per_tonne"] == 3_000

    # The price falls by a quarter: 5,000 CNY of debt on 9,000 CNY of credits stands on the warning line, not the call.
    world.now += timedelta(days=1)
    world.price(2_250, confirmed=True)
    loan = world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")
    assert loan["coverage"] == "warn"
    assert loan["margin_call"] is None
    world.price(1_800, confirmed=True)
    loan = world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")
    assert loan["coverage"] == "call"
    assert loan["margin_call"]["state"] == "open"
    assert world.get("dev-a", "/v1/margin-calls")[0]["loan_id"] == loan["loan_id"]

    # The quoted cash cure cures exactly; one fen less does not.
    cure = loan["cash_cure_fen"]
    part = world.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": cure - 1})
    assert part["loan"]["margin_call"]["state"] == "open"
    whole = world.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": 1})
    assert whole["loan"]["margin_call"] is None
    assert world.get("bank-gusu", "/v1/margin-calls")[0]["state"] == "cured"

    # Repaid in full, released, retired; anyone can look the certificate up.
    rest = whole["loan"]["debt_fen"]
    world.fund("dev-a", 100_000)
    closed = world.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": rest})
    assert closed["loan"]["state"] == "repaid"
    released = world.post("bank-gusu", f"/v1/pledges/{pledge['pledge_id']}/release", {"quantity_kg": 400_000})
    assert released["state"] == "released"
    certificate = world.post(
        "dev-a",
        "/v1/retirements",
        {
            "issuance_id": issuance["issuance_id"],
            "quantity_kg": 123_456,
            "beneficiary": "Suzhou marathon",
            "purpose": "event of November 2026",
        },
    )
    public = world.client.get(f"/v1/certificates/{certificate['certificate_number']}")
    assert public.json() == certificate
    assert sum(_kilograms(serial) for serial in certificate["serials"]) == 123_456
    assert world.balance("dev-a", "retired", asset) == 123_456
    assert world.balance("dev-a", "holding", asset) == issued - 10_000 - 123_456

    head, blocks = world.verify()
    assert head.entry_id > 10
    assert blocks >= 3


def test_an_uncured_call_ends_in_a_sale(lent):
    world, loan, pledge, issuance = lent
    world.admit("buyer-a", "buyer")
    world.fund("buyer-a", 10_000_000)
    world.now += timedelta(days=1)
    world.price(2_200, confirmed=True)
    world.price(1_600, confirmed=True)
    standing = world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")
    assert standing["coverage"] == "liquidate"
    assert standing["margin_call"]["state"] == "open"

    listing = world.post(
        "bank-gusu",
        f"/v1/pledges/{pledge['pledge_id']}/disposal",
        {
            "buyer_id": "buyer-a",
            "quantity_kg": 400_000,
            "price_fen_per_tonne": 1_500,
            "expires_at": (world.now + timedelta(days=2)).isoformat(),
        },
    )
    bank, borrower = world.balance("bank-gusu", "cash"), world.balance("dev-a", "cash")
    assert (listing["buyer_id"], listing["pledge_id"]) == ("buyer-a", pledge["pledge_id"])
    path = f"/v1/listings/{listing['listing_id']}/purchases"
    flow = world.post("buyer-a", path, {"quantity_kg": 400_000})["waterfall"]

    # Both sides pay the exchange 0.7 per mille of 600,000 fen; the waterfall begins with what the bank got.
    proceeds = 600_000 - 420
    assert world.balance("buyer-a", "cash") == 10_000_000 - 600_000 - 420
    assert flow["proceeds_fen"] == proceeds
    assert flow["costs_fen"] == 29_979
    parts = ("costs_fen", "interest_fen", "principal_fen", "surplus_fen")
    assert sum(flow[part] for part in parts) == flow["proceeds_fen"]
    assert flow["unpaid_debt_fen"] == 0
    assert world.balance("bank-gusu", "cash") == bank + proceeds - flow["surplus_fen"]
    assert world.balance("dev-a", "cash") == borrower + flow["surplus_fen"]
    after = world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")
    assert after["state"] == "repaid"
    assert after["margin_call"] is None
    assert world.balance("buyer-a", "holding", f"PHCER:{issuance['issuance_id']}") == 400_000
    world.verify()


def test_listed_collateral_is_bought_in_parts_until_the_debt_is_paid(lent):
    world, loan, pledge, issuance = lent
    asset = f"PHCER:{issuance['issuance_id']}"
    for buyer in ("buyer-a", "buyer-b"):
        world.admit(buyer, "buyer")
        world.fund(buyer, 10_000_000)
    world.now += timedelta(days=1)
    terms = {"buyer_id": "buyer-a", "quantity_kg": 400_000, "price_fen_per_tonne": 1_500}
    terms["expires_at"] = (world.now + timedelta(days=2)).isoformat()
    disposal = f"/v1/pledges/{pledge['pledge_id']}/disposal"
    world.assert_refused("bank-gusu", disposal, terms, "disposal_not_allowed")
    world.price(1_300, confirmed=True)
    world.assert_refused("buyer-a", disposal, terms, "not_permitted")
    world.assert_refused("bank-gusu", disposal, terms | {"buyer_id": "dev-a"}, "not_permitted")
    late = (world.now + timedelta(days=400)).isoformat()
    world.assert_refused("bank-gusu", disposal, terms | {"expires_at": late}, "quantity_out_of_range")
    listing = world.post("bank-gusu", disposal, terms)
    # Nothing moves before it is paid for: the credits stay under the pledge.
    assert world.balance("dev-a", "pledged", asset) == 400_000
    assert world.balance("bank-gusu", "escrow", asset) == 0
    assert world.get("buyer-b", "/v1/listings") == []
    path = f"/v1/listings/{listing['listing_id']}"
    world.assert_refused("buyer-b", f"{path}/purchases", {"quantity_kg": 1_000}, "not_found")

    other = world.post("bank-gusu", disposal, terms | {"quantity_kg": 5_000})["listing_id"]
    retire = {"beneficiary": "Suzhou marathon", "purpose": "event"}
    first = world.post("buyer-a", f"{path}/purchases", {"quantity_kg": 100_000, "retire_for": retire})
    assert first["certificate"]["quantity_kg"] == 100_000
    assert world.balance("buyer-a", "retired", asset) == 100_000
    assert first["waterfall"]["proceeds_fen"] == 150_000 - 105
    assert first["waterfall"]["surplus_fen"] == 0
    assert first["listing"]["state"] == "open"

    # The ground is looked at again for every part: while the loan is covered it keeps its collateral.
    world.price(3_000, confirmed=True)
    world.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 260_000}, "disposal_not_allowed")
    world.price(1_300, confirmed=True)
    second = world.post("buyer-a", f"{path}/purchases", {"quantity_kg": 260_000})
    flow = second["waterfall"]
    assert flow["proceeds_fen"] == 390_000 - 273
    parts = ("costs_fen", "penal_fen", "interest_fen", "principal_fen", "surplus_fen")
    assert sum(flow[part] for part in parts) == flow["proceeds_fen"]
    assert flow["surplus_fen"] > 0
    # The debt is paid: the rest is not for sale any more, and is the pledgor's to have released.
    assert (second["listing"]["state"], second["listing"]["left_kg"]) == ("withdrawn", 40_000)
    states = {each["listing_id"]: each["state"] for each in world.get("buyer-a", "/v1/listings/own")}
    assert states[other] == "withdrawn"
    assert world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")["state"] == "repaid"
    world.assert_refused("buyer-a", f"{path}/purchases", {"quantity_kg": 1_000}, "invalid_state")
    assert world.balance("buyer-a", "holding", asset) == 260_000
    assert world.balance("dev-a", "pledged", asset) == 40_000
    world.post("bank-gusu", f"/v1/pledges/{pledge['pledge_id']}/release", {"quantity_kg": 40_000})
    assert [trade["seller_id"] for trade in world.get("dev-a", "/v1/otc-trades")] == ["bank-gusu", "bank-gusu"]
    world.verify()


def test_listed_collateral_is_taken_back_by_its_lender(lent):
    world, _, pledge, issuance = lent
    asset = f"PHCER:{issuance['issuance_id']}"
    world.admit("buyer-a", "buyer")
    world.now += timedelta(days=1)
    world.price(1_300, confirmed=True)
    terms = {"buyer_id": "buyer-a", "quantity_kg": 1_000, "price_fen_per_tonne": 1_500}
    terms["expires_at"] = (world.now + timedelta(days=2)).isoformat()
    taken_back, lapsed = (world.post("bank-gusu", f"/v1/pledges/{pledge['pledge_id']}/disposal", terms) for _ in "ab")
    end = f"/v1/listings/{taken_back['listing_id']}/end"
    world.assert_refused("buyer-a", end, None, "not_permitted")
    assert world.post("bank-gusu", end)["state"] == "withdrawn"
    world.now += timedelta(days=2)
    assert world.post("buyer-a", f"/v1/listings/{lapsed['listing_id']}/end")["state"] == "expired"
    assert world.balance("dev-a", "pledged", asset) == 400_000
    world.verify()


def test_a_call_is_cured_by_the_quoted_credits(world):
    loan, _, issuance = world.loan(pledge_kg=240_000, amount_fen=300_000)
    world.now += timedelta(days=1)
    world.price(2_100, confirmed=True)
    world.price(1_900, confirmed=True)
    standing = world.get("dev-a", f"/v1/loans/{loan['loan_id']}")
    quoted = standing["credit_cures"][0]
    # The cure is the shortfall over the advance rate, never the shortfall itself.
    assert quoted["value_fen"] * 45 // 100 >= standing["debt_fen"] - standing["collateral_value_fen"] * 45 // 100 - 1

    for quantity, state in ((quoted["quantity_kg"] - 1, "open"), (1_000, "cured")):
        pledge = world.post(
            "dev-a",
            "/v1/pledges",
            {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": quantity},
        )
        world.post(
            "bank-gusu",
            f"/v1/pledges/{pledge['pledge_id']}/posting",
            {"loan_id": loan["loan_id"], "registration_number": "REG-2"},
        )
        assert world.get("bank-gusu", "/v1/margin-calls")[0]["state"] == state
    world.verify()


def _kilograms(serial):
    *_, first, last, _check = serial.split("-")
    return int(last) - int(first) + 1
