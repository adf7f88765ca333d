"""What pages read with one query is what the stores say row by row, on both databases."""

from collections import Counter

import pytest
from full_world import full_world  # noqa: F401

from financing.base.quantities import Carbon
from financing.base.storage.paging import Window
from financing.ledger.accounts import AccountKind
from financing.lending.collateral.pledge import PledgeState
from financing.lending.unit import UnitOfWork
from financing.registry.credits.queries import amounts, free_holdings, holdings
from financing.registry.neutrality.queries import usable
from financing.registry.verification.monitoring import MonitoringState
from financing.registry.verification.queries import work_list

OWNER, BANK, VERIFIER, GRID = "dev-a", "bank-gusu", "verifier-cqc", "grid-sip"


@pytest.fixture
def unit(full_world):  # noqa: F811
    world, _ = full_world
    with world.parts.reading() as connection:
        yield UnitOfWork(connection)


def test_holdings_are_the_sums_of_balances(unit):
    sums = Counter()
    for balance in unit.ledger.balances(owner_id=OWNER):
        asset = balance.key.asset
        if not asset.is_money and not asset.is_package:
            sums[asset.issuance_id, balance.key.kind] += balance.posted
            sums[asset.issuance_id, "held"] += balance.held
    found = holdings(unit.connection, OWNER)
    assert len(found) == 5
    assert found.rows == sorted(found, key=lambda row: (row.issuance.issued_at, row.issuance.issuance_id), reverse=True)
    for row in found:
        key = row.issuance.issuance_id
        assert row.issuance == unit.issuances.get(key)
        promised = sums[key, AccountKind.ESCROW]
        assert row.held.kg == sums[key, AccountKind.HOLDING] + promised
        assert (row.pledged.kg, row.retired.kg) == (sums[key, AccountKind.PLEDGED], sums[key, AccountKind.RETIRED])
        assert row.set_aside.kg == sums[key, "held"] + promised
    whole = amounts(unit.connection, OWNER)
    for name in ("held", "set_aside", "pledged", "retired", "available"):
        assert getattr(whole, name) == sum((getattr(row, name) for row in found), Carbon(0))
    assert whole.pledged > Carbon(0)
    assert whole.set_aside > Carbon(0)
    assert amounts(unit.connection, "nobody").held == Carbon(0)


def test_a_form_offers_what_is_most_and_what_was_chosen(unit):
    free = [row for row in holdings(unit.connection, OWNER) if row.available]
    most = sorted(free, key=lambda row: row.available, reverse=True)
    assert [row.available for row in free_holdings(unit.connection, OWNER, 100)] == [row.available for row in most]
    least = most[-1]
    chosen = free_holdings(unit.connection, OWNER, 1, least.issuance.issuance_id)
    assert chosen == [least]


def test_retirements_that_a_claim_may_still_use(unit):
    left = {each.certificate_number: rest for each, rest in usable(unit.connection, OWNER, 100)}
    assert left == {
        each.certificate_number: each.quantity - unit.neutrality.matched(each.certificate_number)
        for each in unit.retirements.all()
        if OWNER in {each.retired_by, each.beneficiary}
        and each.quantity > unit.neutrality.matched(each.certificate_number)
    }
    assert sorted(rest.kg for rest in left.values()) == [1_000, 2_000]
    assert len(usable(unit.connection, OWNER, 1)) == 1
    assert usable(unit.connection, GRID, 100) == []


def test_the_work_list_is_what_is_assigned_then_what_is_not(unit):
    items = work_list(unit, VERIFIER)
    assert [item.assignment is None for item in items] == [False, True, True]
    assert {item.claim.monitoring_period_id for item in items} == {
        claim.monitoring_period_id for claim in unit.periods.all(state=MonitoringState.SUBMITTED.value)
    }
    assert [len(item.findings) for item in items] == [3, 0, 0]
    assert all(item.assignment is None for item in work_list(unit, "verifier-sgs"))
    assert unit.periods.sums(MonitoringState.SUBMITTED.value) == (
        3,
        sum((item.claim.generation() for item in items[1:]), items[0].claim.generation()),
    )
    stated = [claim for claim in unit.periods.all() if claim.state is not MonitoringState.SUBMITTED]
    assert list(unit.periods.stated()) == stated[::-1]


def test_what_a_registry_and_a_grid_company_see(unit):
    issued = list(unit.issuances.all())
    assert list(unit.issuances.all(newest_first=True)) == issued[::-1]
    assert unit.issuances.issued() == (5, sum((each.quantity for each in issued), Carbon(0)))
    assert unit.retirements.retired() == sum((each.quantity for each in unit.retirements.all()), Carbon(0))
    meters = unit.projects.measured_by(GRID)
    assert {meter.meter_id for _, meter in meters} == {
        meter.meter_id for project in unit.projects.all() for meter in unit.projects.meters(project.project_id)
    }
    assert all(meter in unit.projects.meters(project.project_id) for project, meter in meters)
    assert unit.projects.named(project.project_id for project, _ in meters[:2]).keys() == {
        project.project_id for project, _ in meters[:2]
    }
    for project in unit.projects.all():
        claims = unit.periods.of_project(project.project_id)
        assert unit.periods.last_end(project.project_id) == max((each.period.end for each in claims), default=None)
    assert unit.orders.unlisted(2) == [f"PHCER:{each.issuance_id}" for each in issued[::-1][:2]]


def test_what_a_bank_and_a_borrower_see(unit, full_world):  # noqa: F811
    at = full_world[0].now
    pledges = list(unit.pledges.of(OWNER))
    assert list(unit.pledges.given_by(OWNER)) == pledges
    reserved = [each for each in pledges if each.pledge.state is PledgeState.RESERVED]
    standing = [each for each in reserved if at < each.pledge.expires_at]
    assert (len(reserved), len(standing)) == (2, 1)
    assert list(unit.pledges.reserved_for(BANK, pledgor_id=OWNER)) == reserved
    assert list(unit.pledges.reserved_for(BANK, pledgor_id=OWNER, at=at)) == standing
    assert list(unit.pledges.reserved_for(BANK, pledgor_id="nobody")) == []
    assert unit.pledges.pledgors(BANK, at, 5) == [OWNER]
    (loan,) = unit.loans.taken_by(OWNER)
    assert list(unit.loans.taken_by(BANK)) == []
    assert list(unit.decisions.about(OWNER)) == list(unit.decisions.of(BANK))
    assert list(unit.decisions.about(BANK)) == []
    assert list(unit.calls.on_loan(loan.loan.loan_id)) == list(unit.calls.of(OWNER))
    assert unit.calls.count_open(BANK) == len(unit.calls.open_of_bank(BANK)) == 1
    assert [(call.call.loan_id, bank) for call, bank in unit.calls.open_against(OWNER)] == [(loan.loan.loan_id, BANK)]
    assert unit.loans.count_events(loan.terms.number, "repayment") == 2
    assert len(unit.loans.events(loan.terms.number, Window(2))) == 2
    assert list(unit.securities.offered(BANK, OWNER)) == []
