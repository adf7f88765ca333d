"""A grid company counts what a bank is answered, in its own store, and refuses beyond its budget."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hand_made import approved
from small_network import AT

from federated.consent.instants import TOLERANCE
from federated.consent.record import Purpose
from federated.consent.uses import Action
from federated.errors import ConsentExpired, FederatedError, InvalidTime, QueryBudgetSpent
from federated.governance.decisions import Act
from federated.governance.lifecycle import Role
from federated.nodes.budget import QueryBudget, default_budget
from federated.nodes.node import PartialRequest
from federated.privacy.attacks.score_extraction import bounds_of, fitted_r2
from federated.serving import Electricity, Network, ScoreQuery

NOW = AT + timedelta(days=1)
SMALL = QueryBudget(timedelta(days=30), per_subject=2, per_bank_min=3, per_consent=0.0)


class Clock:
    """The nodes' own time, which only they read and which an asker's word does not move."""

    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def network(home, clock):
    opened = Network.open(home, clock)
    for grid in opened.grid_ids:
        opened.grid_node(grid).set_budget(SMALL)
    yield opened
    opened.close()


@pytest.fixture
def firms(trained):
    """Joint customers of one bank that grid-sip serves."""
    tables = trained[1].tables
    return [
        tables.subjects[i]
        for i in range(len(tables.subjects))
        if tables.joint[i] and (tables.bank_of[i], tables.grid_of[i]) == ("bank-gusu", "grid-sip")
    ]


def ask(network, subject, at=NOW):
    return network.score(ScoreQuery("bank-gusu", subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, at))


def test_one_customer_is_answered_about_so_often_and_again_when_the_period_has_passed(network, firms, clock):
    first = ask(network, firms[0])
    clock.at = NOW + timedelta(days=1)
    assert ask(network, firms[0], clock.at).score == first.score
    clock.at = NOW + timedelta(days=2)
    with pytest.raises(QueryBudgetSpent) as refusal:
        ask(network, firms[0], clock.at)
    assert refusal.value.code == "query_budget_spent"
    assert datetime.fromisoformat(refusal.value.context["retry_at"]) == NOW + timedelta(days=30)
    # Another customer is another matter, and the refusal itself spent nothing.
    assert ask(network, firms[1], NOW + timedelta(days=2)).electricity is Electricity.INCLUDED
    clock.at = NOW + timedelta(days=30)
    assert ask(network, firms[0], clock.at).score == first.score


def test_an_askers_own_instants_buy_no_answer(network, firms, clock):
    """Every period was the asker's to name: a consent of a year gave twelve budgets in one sitting."""
    got, refused = 0, set()
    for month in range(-1, 12):
        for second in range(3):
            try:
                ask(network, firms[0], NOW + timedelta(days=31 * month, seconds=second))
                got += 1
            except FederatedError as error:
                refused.add(error.code)
    assert (got, refused) == (SMALL.per_subject, {"invalid_time", "query_budget_spent"})
    # What a node writes down is its own time, and an expired consent is not brought back by an earlier instant either.
    assert {use.at for use in network.grid_node("grid-sip").uses_of(firms[0])[:2]} == {NOW}
    # Nor does the time that two honest clocks may be apart stretch a period.
    clock.at = NOW + SMALL.window - timedelta(minutes=1)
    with pytest.raises(QueryBudgetSpent):
        ask(network, firms[0], clock.at + timedelta(minutes=4))


def test_an_earlier_instant_brings_no_expired_consent_back(network, firms, clock):
    grid = network.grid_node("grid-sip")
    clock.at = network.consent(f"CONS-{firms[0]}", "bank-gusu").valid_until
    for at, refusal in ((NOW, InvalidTime), (clock.at - timedelta(minutes=4), ConsentExpired)):
        with pytest.raises(refusal):
            ask(network, firms[0], at)
        request = PartialRequest("bank-gusu", firms[0], f"CONS-{firms[0]}", Purpose.CREDIT_APPLICATION, at, "v0001")
        with pytest.raises(refusal):
            grid.partial(request)


@pytest.mark.parametrize("apart", [-TOLERANCE, TOLERANCE])
def test_clocks_may_be_so_far_apart_and_no_further(network, firms, apart):
    assert ask(network, firms[0], NOW + apart)
    with pytest.raises(InvalidTime, match="5 minutes"):
        ask(network, firms[0], NOW + apart * 1.001)
    grid = network.grid_node("grid-sip")
    request = PartialRequest("bank-gusu", firms[1], f"CONS-{firms[1]}", Purpose.CREDIT_APPLICATION, NOW, "v0001")
    with pytest.raises(InvalidTime):
        grid.partial(replace(request, at=NOW + apart * 1.001))
    newest = grid.uses_of(firms[1])[0]
    assert (newest.at, newest.outcome) == (NOW, "invalid_time")


def test_all_customers_together_have_a_budget_too(network, firms):
    for subject in firms[:3]:
        ask(network, subject)
    with pytest.raises(QueryBudgetSpent, match="all customers"):
        ask(network, firms[3])


def test_a_bank_with_many_consents_is_answered_more(network, firms):
    network.grid_node("grid-sip").set_budget(replace(SMALL, per_consent=1.0))
    assert all(ask(network, subject) for subject in firms[:10])


def test_what_was_answered_is_remembered_over_a_restart(home, network, firms):
    for _ in range(2):
        ask(network, firms[0])
    network.close()
    opened = Network.open(home, lambda: NOW)
    assert opened.grid_node("grid-sip").budget == SMALL
    with pytest.raises(QueryBudgetSpent):
        ask(opened, firms[0])
    opened.close()


def test_refusals_are_on_record_and_asking_with_an_earlier_time_gains_nothing(network, firms):
    for _ in range(2):
        ask(network, firms[0])
    with pytest.raises(QueryBudgetSpent):
        ask(network, firms[0], NOW - timedelta(minutes=3))
    newest = network.grid_node("grid-sip").uses_of(firms[0])[0]
    assert (newest.action, newest.outcome) == (Action.SCORE, "query_budget_spent")


def test_a_shadow_is_free_only_beside_the_answer_it_shadows(network, firms):
    grid, governance = network.grid_node("grid-sip"), network.oversight.governance
    request = PartialRequest("bank-gusu", firms[0], f"CONS-{firms[0]}", Purpose.CREDIT_APPLICATION, NOW, "v0002")
    ask(network, firms[0])
    # The network would ask for the shadow itself if there were a challenger by now.
    network.monitoring(NOW)
    approved(governance, "v0002", NOW)
    governance.appoint("v0002", Role.CHALLENGER, Act("bank-gusu", NOW))
    # One shadow an answer: the second counts as a score of its own, and the third finds the budget spent.
    later = replace(request, at=NOW + timedelta(minutes=1))
    assert grid.partial(request, explained=False)
    assert grid.partial(later, explained=False)
    assert grid.partial(later, explained=False)
    with pytest.raises(QueryBudgetSpent):
        grid.partial(replace(request, at=NOW + timedelta(minutes=2)), explained=False)
    actions = [use.action for use in grid.uses_of(firms[0])]
    assert actions.count(Action.SHADOW_SCORE) == 2


def test_a_shadow_of_the_champion_is_a_score(network, firms):
    """By shadows of the version that answered a bank had twice as many answers as its budget."""
    grid = network.grid_node("grid-sip")
    request = PartialRequest("bank-gusu", firms[0], f"CONS-{firms[0]}", Purpose.CREDIT_APPLICATION, NOW, "v0001")
    ask(network, firms[0])
    assert grid.partial(request, explained=False)
    with pytest.raises(QueryBudgetSpent):
        grid.partial(replace(request, at=NOW + timedelta(minutes=1)), explained=False)
    assert Action.SHADOW_SCORE not in [use.action for use in grid.uses_of(firms[0])]


def test_bank_only_answers_spend_nothing(network, trained):
    tables = trained[1].tables
    row = next(i for i in range(len(tables.subjects)) if not tables.grid_of[i] and tables.bank_of[i] == "bank-gusu")
    for _ in range(6):
        assert ask(network, tables.subjects[row]).electricity is not Electricity.INCLUDED


def test_an_honest_bank_does_not_notice_the_default(home, firms, clock):
    budget = default_budget()
    opened = Network.open(home, clock)
    # An application, a correction, and a review a month later; every customer at once.
    for day in (0, 1, 31):
        clock.at = NOW + timedelta(days=day)
        for subject in firms[:20]:
            assert ask(opened, subject, NOW + timedelta(days=day))
    opened.close()
    assert budget.per_subject >= 4
    assert QueryBudget.from_bytes(budget.to_bytes()) == budget


def test_an_insider_bounds_a_share_from_scores_and_fits_a_function_to_shares():
    def scored(logit):
        return round(600 - 57.7 * logit)

    truth, own = 0.4321, [0.0, 0.003, 0.011, -0.007, 0.0093]
    found = bounds_of([scored(each + truth) for each in own], own, scored)
    assert found.low <= truth <= found.high
    assert found.width < bounds_of([scored(truth)], [0.0], scored).width <= 1 / 57.7 + 1e-9
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(400, 3))
    shares = np.abs(columns[:, 0]) - 0.5 * columns[:, 1]
    assert fitted_r2(columns[:300], shares[:300], columns[300:], shares[300:]) > 0.9
    assert fitted_r2(columns[:300], rng.permutation(shares[:300]), columns[300:], shares[300:]) < 0.2
