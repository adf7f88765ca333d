"""Many at once for the same units: exactly one wins, and the books stay whole."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random

import pytest
from world import TRANSFER

from financing.base.context import Actor, Context
from financing.base.errors import CreditsPledged, FinancingError
from financing.base.quantities import Carbon, Price
from financing.lending.collateral.commands import ReservePledge, reserve_pledge
from financing.lending.unit import UnitOfWork
from financing.market.over_the_counter.commands import MakeListing, make_listing
from financing.registry.retirement.commands import RetireCredits, retire_credits


def with_a_buyer(world):
    world.admit("dev-a", "developer")
    world.admit("buyer-a", "buyer")
    return world.credits("dev-a")


@pytest.fixture
def holder(kind, tmp_path, ready_worlds):
    """A developer with credits and a buyer: (world, issuance, context of the developer)."""
    with ready_worlds.copied(kind, tmp_path / "home", with_a_buyer) as (world, issuance):
        parts = world.parts
        yield world, issuance, Context(Actor("dev-a", "developer"), world.now, parts.new_id, parts.parameters)


def commands(issuance_id, quantity, context):
    """The three ways to dispose of the same units."""
    pledge = ReservePledge(
        bank_id="bank-gusu", issuance_id=issuance_id, quantity_kg=quantity, product="phcer_pledge_loan"
    )
    listing = MakeListing(
        buyer_id="buyer-a",
        asset=f"PHCER:{issuance_id}",
        quantity_kg=quantity,
        price_fen_per_tonne=Price(3_000),
        expires_at=context.at + timedelta(days=1),
    )
    retirement = RetireCredits(issuance_id=issuance_id, quantity_kg=quantity, beneficiary="x", purpose="y")
    return (
        lambda unit: reserve_pledge(unit, context, pledge),
        lambda unit: make_listing(unit, context, listing),
        lambda unit: retire_credits(unit, context, retirement),
    )


def outcomes(writer, jobs):
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda job: writer.submit(job).exception(), jobs))


def test_64_pledges_of_the_same_units(holder):
    world, issuance, context = holder
    quantity = Carbon(issuance["quantity_kg"])
    pledge, _, _ = commands(issuance["issuance_id"], quantity, context)
    found = outcomes(world.parts.writer, [pledge] * 64)
    assert [type(error) for error in found if error is not None] == [CreditsPledged] * 63
    world.verify()


def test_pledge_against_sale_against_retirement(holder):
    """Each of three uses asks for more than a third of the units, so two at most can go through."""
    world, issuance, context = holder
    part = Carbon(issuance["quantity_kg"] // 2_000 * 1_000)
    jobs = commands(issuance["issuance_id"], part, context)
    found = outcomes(world.parts.writer, [jobs[place % 3] for place in range(60)])
    assert sum(error is None for error in found) == 2
    assert all(isinstance(error, FinancingError) for error in found if error is not None)
    world.verify()
    with world.parts.reading() as connection:
        balances = UnitOfWork(connection).ledger.balances(owner_id="dev-a")
    assert all(balance.available >= 0 for balance in balances)


def test_five_hundred_uses_race_for_fewer_tonnes(holder):
    """Pledges, sales and retirements of a tonne each, mixed and at once: as many go through as there are tonnes."""
    world, issuance, context = holder
    jobs = commands(issuance["issuance_id"], Carbon(1_000), context)
    random = Random(11)
    found = outcomes(world.parts.writer, [random.choice(jobs) for _ in range(500)])
    assert sum(error is None for error in found) == issuance["quantity_kg"] // 1_000 < 500
    assert all(isinstance(error, FinancingError) for error in found if error is not None)
    world.verify()


def test_equal_keys_at_once_are_one_command(world):
    body = {"organisation_id": "bank-gusu", "amount_fen": 100, **TRANSFER}
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: world.post("exchange-seee", "/v1/deposits", body, key="one", status=201), range(64))
        )
    assert len({answer.text for answer in answers}) == 1
    assert world.balance("bank-gusu", "cash") == 100


def test_one_transfer_is_booked_once_however_often_it_is_reported(world):
    """64 deposits with one payment number, each with a key of its own, were 64 times the money."""
    body = {"organisation_id": "bank-gusu", "amount_fen": 100, **TRANSFER}
    headers = {"Authorization": f"Bearer {world.keys['exchange-seee']}"}

    def report(number):
        answer = world.client.post("/v1/deposits", json=body, headers=headers | {"Idempotency-Key": f"n{number}"})
        return answer.status_code, answer.json().get("code")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(report, range(64)))
    assert sorted(answers) == [(201, None), *[(409, "already_exists")] * 63]
    for other in ({"organisation_id": "bank-jinji"}, {"amount_fen": 99}, {"reference": " r "}):
        world.assert_refused("exchange-seee", "/v1/deposits", body | other, "already_exists")
    # Another bank counts its transfers on its own.
    world.post("exchange-seee", "/v1/deposits", body | {"payer_bank": "105305000001"})
    assert world.balance("bank-gusu", "cash") == 200
    world.assert_refused("exchange-seee", "/v1/deposits", body | {"payer_bank": "1"}, "invalid_request", status=422)
    world.verify()
