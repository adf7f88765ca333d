"""The carbon price falls by thirty per cent: calls, cures in cash and in credits, a disposal, balanced books."""

from datetime import timedelta

import pytest

BANK, BUYER = "bank-gusu", "buyer-green"
LOAN_FEN = 540_000  # the advance line: 45 % of 400 t at 30 CNY/t


@pytest.fixture
def ready(kind, tmp_path, ready_worlds):
    with ready_worlds.copied(kind, tmp_path / "home", borrowed) as found:
        yield found


@pytest.fixture
def world(ready):
    return ready[0]


@pytest.fixture
def three_loans(ready):
    return ready[1]


def borrowed(world):
    """Three developers with the same loan on the same collateral, each scored by the bank."""
    world.admit(BUYER, "buyer")
    world.fund(BANK, 100_000_000)
    world.price(3_000)
    customers = world.get(BANK, "/v1/customers?limit=40")
    answers = [world.score(BANK, customer["subject_id"]) for customer in customers]
    best = sorted(answers, key=lambda answer: -answer["score"])[:3]
    loans = {}
    for place, inquiry in enumerate(best):
        name = f"dev-{place}"
        world.admit(name, "developer", inquiry["subject_id"])
        issuance = world.credits(name, f"CR{place}")["issuance_id"]
        pledge = world.post(name, "/v1/pledges", {"bank_id": BANK, "issuance_id": issuance, "quantity_kg": 400_000})
        decision = world.post(
            BANK,
            "/v1/decisions",
            {
                "borrower_id": name, "inquiry_id": inquiry["inquiry_id"], "amount_fen": LOAN_FEN, "tenor_days": 180,
                "pledge_ids": [pledge["pledge_id"]],
            },
        )  # fmt: skip
        assert decision["outcome"] == "approve", decision
        loan = world.post(
            BANK,
            "/v1/loans",
            {"decision_id": decision["decision_id"], "amount_fen": LOAN_FEN, "registration_number": f"R{place}"},
        )
        loans[name] = (loan["loan_id"], pledge["pledge_id"], issuance)
    for _ in range(6):
        next_day(world, 20)
        world.price(3_000)
    while world.post(BANK, "/v1/business-days", {})["days"]:
        pass
    return loans


def standing(world, loan_id):
    return world.get(BANK, f"/v1/loans/{loan_id}")


def next_day(world, days=1):
    world.now += timedelta(days=days)


def test_a_crash_of_thirty_per_cent_runs_through_calls_cures_and_a_disposal(world, three_loans):
    assert {standing(world, loan)["coverage"] for loan, _, _ in three_loans.values()} == {"healthy"}
    money = sum(world.balance(who, "cash") for who in (BANK, BUYER, "exchange-seee", *three_loans))

    world.price(2_100, confirmed=True)  # −30 %
    next_day(world)
    closed = world.post(BANK, "/v1/business-days", {})["days"][-1]
    found = {step["step"]: step for step in closed["steps"]}
    # Four months of interest on 45 % of 3,000 make 65.2 % of 2,100: past the line of the call (65).
    assert found["revalue"]["call"] == found["call_margins"]["called"] + len(world.get(BANK, "/v1/margin-calls")) == 3
    calls = world.get(BANK, "/v1/margin-calls")
    assert {call["state"] for call in calls} == {"open"}
    assert len(calls) == 3
    cash_cured, credit_cured, sold = three_loans

    loan_id = three_loans[cash_cured][0]
    cure = standing(world, loan_id)["cash_cure_fen"]
    world.fund(cash_cured, cure)
    world.post(cash_cured, f"/v1/loans/{loan_id}/repayments", {"amount_fen": cure - 1})
    assert standing(world, loan_id)["margin_call"]["state"] == "open"
    world.post(cash_cured, f"/v1/loans/{loan_id}/repayments", {"amount_fen": 1})
    assert standing(world, loan_id)["margin_call"] is None
    money += cure

    loan_id, _, issuance = three_loans[credit_cured]
    needed = standing(world, loan_id)["credit_cures"][0]["quantity_kg"]
    extra = world.credits(credit_cured, "MORE")["issuance_id"]
    topped = world.post(credit_cured, "/v1/pledges", {"bank_id": BANK, "issuance_id": extra, "quantity_kg": needed})
    world.post(BANK, f"/v1/pledges/{topped['pledge_id']}/posting", {"loan_id": loan_id, "registration_number": "R9"})
    assert standing(world, loan_id)["margin_call"] is None

    loan_id, pledge_id, issuance = three_loans[sold]
    auction_path = f"/v1/pledges/{pledge_id}/auctions"
    body = {
        "quantity_kg": 400_000, "start_fen_per_tonne": 2_400, "decrement_fen_per_tonne": 100, "step_seconds": 600,
        "opens_at": world.now.isoformat(), "closes_at": (world.now + timedelta(days=6)).isoformat(),
    }  # fmt: skip
    world.assert_refused(BANK, auction_path, body, "disposal_not_allowed")  # the cure period runs
    world.assert_refused(sold, auction_path, body, "not_permitted")
    next_day(world, 5)
    world.post(BANK, "/v1/business-days", {})
    assert ("call_past_due", loan_id) in {(a["kind"], a["subject"]) for a in world.get(BANK, "/v1/alerts")}

    body |= {"opens_at": world.now.isoformat(), "closes_at": (world.now + timedelta(days=6)).isoformat()}
    auction = world.post(BANK, auction_path, body)
    world.fund(BUYER, 5_000_000)
    money += 5_000_000
    next_day(world, 0)
    world.now += timedelta(minutes=20)  # 2,200 by now
    taking = f"/v1/auctions/{auction['auction_id']}/takings"
    take = {"quantity_kg": 300_000, "price_max_fen_per_tonne": 2_250}
    world.assert_refused(sold, taking, take, "not_permitted")
    before = standing(world, loan_id)["debt_fen"]
    contract = world.post(BUYER, taking, take)
    assert contract["price_fen_per_tonne"] == 2_200
    after = standing(world, loan_id)
    assert after["state"] == "repaid"
    # What was not needed is under the pledge again, not with the lender, and can be released without a debt.
    assert after["collateral_kg"] == 100_000
    world.post(BANK, f"/v1/pledges/{pledge_id}/release", {"quantity_kg": 100_000})
    assert world.balance(BUYER, "holding", f"PHCER:{issuance}") == 300_000
    gross = 300 * 2_200
    fee = 462  # 0.7 ‰ of 660,000
    costs = 32_977  # 5 % of what the fee leaves: 32,976.90
    surplus = world.balance(sold, "cash") - LOAN_FEN
    assert surplus > 0
    assert surplus == gross - fee - costs - before
    assert sum(world.balance(who, "cash") for who in (BANK, BUYER, "exchange-seee", *three_loans)) == money
    next_day(world)
    assert world.post(BANK, "/v1/business-days", {})["days"][-1]["parked"] == 0
    world.verify()


def test_unsold_collateral_goes_back_under_its_pledge_and_the_price_can_be_reset(world, three_loans):
    loan_id, pledge_id, issuance = three_loans["dev-0"]
    world.price(2_100, confirmed=True)
    next_day(world, 5)

    def auction(start):
        body = {
            "quantity_kg": 400_000, "start_fen_per_tonne": start, "decrement_fen_per_tonne": 50, "step_seconds": 3_600,
            "opens_at": world.now.isoformat(), "closes_at": (world.now + timedelta(hours=5)).isoformat(),
        }  # fmt: skip
        return world.post(BANK, f"/v1/pledges/{pledge_id}/auctions", body)["auction_id"]

    first = auction(2_600)
    asset = f"PHCER:{issuance}"
    assert world.balance("dev-0", "pledged", asset) == 0
    assert world.balance(BANK, "escrow", asset) == 400_000
    world.assert_refused("dev-1", f"/v1/auctions/{first}/withdrawal", None, "not_permitted")
    world.now += timedelta(hours=6)
    world.post("dev-1", f"/v1/auctions/{first}/close")
    assert world.balance("dev-0", "pledged", asset) == 400_000
    assert world.balance(BANK, "holding", asset) == 0
    second = auction(2_000)
    # A loan that is cured while its collateral is on sale sells nothing more.
    cure = standing(world, loan_id)["debt_fen"]
    world.fund("dev-0", cure)
    world.post("dev-0", f"/v1/loans/{loan_id}/repayments", {"amount_fen": cure})
    world.fund(BUYER, 5_000_000)
    take = {"quantity_kg": 1_000, "price_max_fen_per_tonne": 9_999}
    world.assert_refused(BUYER, f"/v1/auctions/{second}/takings", take, "disposal_not_allowed")
    world.post(BANK, f"/v1/auctions/{second}/withdrawal")
    world.post(BANK, f"/v1/pledges/{pledge_id}/release", {"quantity_kg": 400_000})
    assert world.balance("dev-0", "pledged", asset) == 0
    world.verify()
