"""Two runs over nearly the same customers: their difference is the label of the others, and banks do not open it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from protected_world import BANKS, FEW, GRIDS, World, marked

from federated.errors import AggregationFailed, CorruptData, RowsTooAlike, TrainingFailed
from federated.nodes.row_sets import Known, RowSets, digests_of, require_wide
from federated.privacy.secure_aggregation.ring import decoded
from federated.protocols.core.messages import Content
from federated.protocols.protected.lead import Lead
from federated.protocols.protected.own_rows import OwnRows, told_of
from federated.protocols.protected.state import ALONE, FIT, HELD_OUT

QUICK = replace(FEW, ramps=2, trees=2, cells=1, ridge=20.0, ridges=1)
NOW, YEAR = datetime(2026, 11, 1, tzinfo=UTC), timedelta(days=365)


class Memories:
    """What banks remember, each of its own, with a clock that tests can set."""

    def __init__(self, sets=9, runs=99):
        self.kept, self.now, self.sets, self.runs = {}, NOW, sets, runs

    def of(self, bank, of="fitted"):
        key = (bank, of)

        def swap(before, after):
            same = self.kept.get(key) == before
            self.kept.update({key: after} if same else {})
            return same

        return RowSets(self.kept.get(key), swap, self.now, YEAR, self.sets, self.runs)


def remembering(world, memories, least=100, banks=BANKS):
    """Have banks of the world remember, as those do whose rows come from their stores."""
    for bank in banks:
        own = np.flatnonzero(world.of_bank == BANKS.index(bank))
        digests = digests_of([str(row) for row in own])

        def node(opened=world.nodes[bank]._opened, bank=bank, digests=digests):
            found = opened()
            found.rows = replace(
                found.rows, least_rows=least, least_apart=least, digests=digests, row_sets=memories.of(bank),
                alone_sets=memories.of(bank, "fitted alone"),
            )  # fmt: skip
            return found

        world.nodes[bank]._opened = node


def fit(world, without=(), watched=None):
    """One run in which grid-x says that it may not use the customers at these of its positions with bank-a. What the
    lead reads is `watched`."""
    training = world.training(QUICK)
    asking = training.ask

    def withholding(action, requests):
        if action == "mark" and "bank-a" in requests and "available/grid-x" in requests["bank-a"].arrays:
            usable = np.array(requests["bank-a"].arrays["available/grid-x"])
            usable[list(without)] = 0
            requests["bank-a"].arrays["available/grid-x"] = usable
        return asking(action, requests)

    training.ask = withholding
    for node in [] if watched is None else world.nodes.values():
        watching(node._lead, watched)
    training.fit()
    return training


def watching(lead, watched, reading=Lead.read):
    """Have a lead write down the gradients that it reads."""

    def read(content, width):
        watched.append(reading(lead, content, width))
        return watched[-1]

    lead.read = read


def positions(world, purpose):
    """Where bank-a and grid-x have customers for this purpose."""
    return np.flatnonzero(fit(world).marks["bank-a", "grid-x"] == purpose)


def test_without_a_memory_the_first_gradients_of_two_runs_give_one_label_away_to_the_lead():
    world = World(rows=400)
    for at in positions(world, FIT)[:3]:
        seen = [], []
        fit(world, watched=seen[0])
        fit(world, [at], watched=seen[1])
        shared = np.flatnonzero((world.of_bank == 0) & (world.of_grid == 0))
        # The first column of banks is 1 everywhere, so what is left is the label less the rate.
        left = seen[0][0][0] - seen[1][0][0]
        assert abs(left) > 0.1
        assert (left > 0) == (world.labels[shared[at]] == 1)


@pytest.mark.parametrize("purpose", [FIT, HELD_OUT])
def test_a_second_run_over_all_but_one_opens_nothing(purpose):
    world, memories = World(rows=400), Memories()
    remembering(world, memories)
    at = positions(world, purpose)[0]
    world.crossed.clear()
    with pytest.raises(RowsTooAlike, match="refused: an earlier run, be it a fold, was over nearly the same"):
        fit(world, [at])
    # Not even a Gram matrix is.
    assert "query.protected_sum" not in {action for action, _ in world.crossed}


def test_the_same_customers_are_trained_on_again_and_others_as_often_as_the_limit_says():
    world, memories = World(rows=400), Memories(sets=2)
    remembering(world, memories)
    for _ in range(3):
        fit(world)
    many = positions(world, FIT)
    half = many[: len(many) // 2]
    remembering(world, memories, least=len(half))
    fit(world, half)
    with pytest.raises(RowsTooAlike, match="as many as 2 runs were opened over different customers"):
        fit(world, many[len(many) // 2 :])
    memories.now += YEAR + timedelta(days=1)
    fit(world, many[len(many) // 2 :])


def test_what_is_between_two_runs_is_counted_over_all_banks():
    world, memories = World(rows=400), Memories()
    remembering(world, memories, least=60)
    training = fit(world)
    of_bank = {bank: int((marked(world, training, FIT) & (world.of_bank == i)).sum()) for i, bank in enumerate(BANKS)}
    told = {}
    for bank in BANKS:
        state = world.nodes[bank]._talk.state
        told[bank] = told_of(OwnRows.of(state).told.numbers())
        (earlier,) = told[bank].known.runs
        assert told[bank].counts[0] == of_bank[bank] == earlier.own[0]
        assert earlier.together[0] == sum(of_bank.values())
        # Everybody is in both.
        assert [set(cells) for cells in told[bank].known.cells] == [{3}, {3}]
    # A bank that leaves takes its rows with it, and one that was not there brings all of its own.
    alone = memories.of("bank-a")
    own = world.nodes["bank-a"]._counting.own_rows.own
    with pytest.raises(RowsTooAlike) as left:
        alone.begin(7, own, [told["bank-a"].counts], [told["bank-a"].known], (10_000, 0))
    assert left.value.context["apart"] == of_bank["bank-b"]
    with pytest.raises(RowsTooAlike) as joined:
        alone.begin(
            7, own, [told["bank-a"].counts, told["bank-b"].counts, (9, 0)],
            [told["bank-a"].known, told["bank-b"].known, Known((), ({1: 9}, {}))], (10_000, 0),
        )  # fmt: skip
    assert joined.value.context["apart"] == 9


def test_three_runs_of_which_no_two_are_near_do_not_give_one_away():
    """Over one half, over the other, and over all but one: the first two less the third is the one that is left out."""
    names = [f"c{k}" for k in range(80)]
    memories = Memories()

    def begin(own, least=20):
        memory, parts = memories.of("bank-a"), [digests_of(part) for part in own]
        counts = [tuple(len(part) for part in own)]
        memory.begin(len(memory.sets) + 1, parts, counts, [memory.known(parts)], (least, least))

    begin((names[:40], []))
    begin((names[40:], []))
    for left_out in (1, 19):
        with pytest.raises(RowsTooAlike) as refused:
            begin((names[left_out:], []))
        assert refused.value.context["apart"] == left_out
    begin((names[20:], []))
    with pytest.raises(RowsTooAlike):
        begin((names[:20] + names[40:45], []))
    # All of the cells that there are, in any union.
    begin((names[:20] + names[40:], []))
    begin((names, []))


def test_fitted_and_held_out_rows_do_not_give_one_away_together():
    """A fold's defaults fitted and held out, less those of all but one: each is told or counted by itself."""
    everybody = digests_of([f"c{k}" for k in range(80)])
    fold = [everybody[:50], everybody[50:]]
    require_wide([everybody], fold, 20)
    require_wide([everybody[30:]], fold, 20)
    with pytest.raises(RowsTooAlike):
        require_wide([everybody[:-1]], fold, 20)
    with pytest.raises(RowsTooAlike):
        require_wide([everybody[:50], everybody[51:]], fold, 20)


def test_however_many_runs_there_were_a_few_do_not_pass():
    """Bits of a number ran out: of more sets than it has cells came out wrong."""
    everybody = digests_of([f"c{k}" for k in range(400)])
    sets = [np.roll(everybody, 40 * k)[:200] for k in range(10)] * 9
    require_wide([everybody[:40]], sets, 20)
    for few in (everybody[:39], everybody[1:40], np.append(everybody[:40], everybody[40])):
        with pytest.raises(RowsTooAlike) as refused:
            require_wide([few], sets, 20)
        assert refused.value.context["apart"] == 1
    with pytest.raises(RowsTooAlike) as refused:
        require_wide([digests_of(["new"])], sets, 20)
    assert refused.value.context["apart"] == 1
    memories = Memories(sets=99)
    for number in range(62):
        memory, own = memories.of("bank-a"), [digests_of([f"{number} {k}" for k in range(30)])]
        memory.begin(number, own, [(30,)], [memory.known(own)], (20,))
    with pytest.raises(RowsTooAlike, match="no more than 62 runs"):
        memories.of("bank-a").known([everybody])


def test_cells_are_those_of_all_banks_whatever_runs_each_was_in():
    """Of two banks with three customers each a cell has six; a bank knows nothing of a run that it was not in."""
    memories = {bank: Memories() for bank in BANKS}
    own = {bank: [digests_of([f"{bank}{k}" for k in range(3)]), digests_of([])] for bank in BANKS}

    def told(banks):
        return {bank: memories[bank].of(bank).known(own[bank]) for bank in banks}

    def begin(number, banks, least):
        known = told(banks)
        for bank in banks:
            memories[bank].of(bank).begin(number, own[bank], [(3, 0)] * len(banks), list(known.values()), (least, 0))

    begin(11, BANKS[:1], 1)
    with pytest.raises(RowsTooAlike) as refused:
        begin(12, BANKS, 4)
    assert refused.value.context["apart"] == 3
    begin(12, BANKS, 3)
    known = told(BANKS)
    assert [[run.number for run in known[bank].runs] for bank in BANKS] == [[11, 12], [12]]
    assert [known[bank].cells[0] for bank in BANKS] == [{7: 3}, {3: 3}]
    # Again, and again by the first alone.
    begin(13, BANKS, 4)
    begin(14, BANKS[:1], 3)


def test_marks_are_told_once_a_run():
    world = World(rows=400)
    fit(world)
    again = Content({f"available/{grid}": np.ones(1, dtype=np.uint8) for grid in GRIDS})
    with pytest.raises(TrainingFailed, match="marks are told once a run"):
        world.training().session.board.ask("query.protected_mark", {"bank-a": again})


def test_numbers_of_another_shape_are_refused():
    with pytest.raises(TrainingFailed, match="a bank told 6 numbers"):
        told_of(np.zeros(6, dtype=np.uint64))


def test_a_memory_of_a_version_that_set_rows_aside_still_knows_whom_it_fitted_and_held_out():
    memories, own = Memories(), [digests_of(list(names)) for names in ("abcd", "ef", "gh")]
    earlier = memories.of("bank-a")
    earlier.begin(1, own, [(4, 2, 2)], [earlier.known(own)], (1, 1, 1))
    now = memories.of("bank-a")
    with pytest.raises(RowsTooAlike, match="nearly the same customers"):
        now.begin(
            2, [digests_of(list("abc")), own[2]], [(3, 2)], [now.known([digests_of(list("abc")), own[2]])], (2, 2)
        )
    assert now.known([own[0], own[2]]).cells == ({3: 4}, {3: 2})
    now.begin(3, [own[0], own[2]], [(4, 2)], [now.known([own[0], own[2]])], (2, 2))


@pytest.mark.parametrize("action", ["clear", "shuffle", "point", "step", "count", "release", "multiply"])
def test_nothing_is_counted_before_banks_have_counted_their_rows(action):
    training = World(rows=400).training(QUICK)
    training._introduce()
    training._mark()
    many = {"cells": 2, "vectors": ["rows"], "groups": [], "below": 0, "width": 3}
    told = Content({"beta": np.zeros(3)}, many)
    with pytest.raises(TrainingFailed, match="nothing is opened before banks have counted their rows"):
        training.ask(action, {"bank-a": told})


def test_banks_release_no_scores_by_themselves_in_a_run_with_grid_companies():
    training = World(rows=400).training(QUICK)
    training.fit()
    with pytest.raises(TrainingFailed, match="trains with grid companies in this run"):
        training.ask("histogram", {"bank-a": Content({"beta": np.zeros(3)})})


def test_what_banks_open_by_themselves_is_over_the_rows_that_were_counted():
    """Customers whom no grid company serves are not in it, nor those held out."""
    world = World(rows=400)
    training = world.training(QUICK)
    training.fit()
    rows = marked(world, training, FIT)
    beta = np.linspace(-0.5, 0.5, training.bases[0].width)
    columns = training.bases[0].columns(world.bank).astype(np.float64)
    residual = world.labels - 1.0 / (1.0 + np.exp(-(columns @ beta)))
    for bank in BANKS:
        world.nodes[bank]._talk.state.go(ALONE, beta, np.zeros(0))
    hidden = training._clear_gradient({})
    left_out = world.nodes[training.lead]._talk.state.prior.left_out
    found = decoded(hidden - world.nodes[training.lead]._lead._mask)
    expected = np.where(left_out, 0.0, columns[rows].T @ residual[rows])
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_session_has_one_run():
    training = World(rows=400).training(QUICK)
    training.fit()
    with pytest.raises(TrainingFailed, match="a session has one run"):
        training._introduce()


def test_all_banks_that_were_counted_are_in_a_sum():
    """Banks that only pad the count, and are left out of the sum, hid a second run over nearly the same customers."""
    world = World(rows=400)
    fit(world)
    state = world.nodes["bank-a"]._talk.state
    state.sides, state.summed, state.parties = {}, {}, replace(state.parties, least=1)
    with pytest.raises(AggregationFailed, match="bank-b would be missing from the sum of gradient"):
        state.agree("gradient", frozenset({"bank-a", "grid-x", "grid-y"}))
    for of in ("banks' gradient", "gram bank", "histogram"):
        with pytest.raises(AggregationFailed, match=f"bank-b would be missing from the sum of {of}"):
            state.agree(of, frozenset({"bank-a"}))


def test_a_memory_that_is_spoilt_or_changed_meanwhile_opens_nothing():
    memories = Memories()
    memories.kept["bank-a", "fitted"] = b"spoilt"
    with pytest.raises(CorruptData, match="memory of runs cannot be read"):
        memories.of("bank-a")
    memories.kept.clear()
    one, other = memories.of("bank-a"), memories.of("bank-a")
    own = [digests_of(["a", "b"])]
    one.begin(1, own, [(2,)], [one.known(own)], (1,))
    with pytest.raises(RowsTooAlike, match="another run began meanwhile"):
        other.begin(2, own, [(2,)], [other.known(own)], (1,))


def test_a_set_of_customers_is_trained_on_only_so_often():
    """An operator that has each run draw other columns adds up what they say of the same labels."""
    world, memories = World(rows=400), Memories(runs=2)
    remembering(world, memories)
    for _ in range(2):
        fit(world)
    with pytest.raises(RowsTooAlike, match="as many as 2 runs were opened over these very customers"):
        fit(world)
    memories.now += YEAR + timedelta(days=1)
    fit(world)


def test_runs_of_banks_alone_are_remembered_too():
    """A fold that holds out one customer more, or a run with grid companies that leaves one out, told its label."""
    world, memories = World(rows=400), Memories()
    remembering(world, memories)
    opened = world.nodes["bank-a"]._opened
    for _ in range(2):
        world.training(QUICK, joint=0).fit()
    holding_out(world, "bank-a", 1)
    with pytest.raises(RowsTooAlike, match="an earlier run, be it a fold, was over nearly the same customers"):
        world.training(QUICK, joint=0).fit()
    world.nodes["bank-a"]._opened = opened
    world.crossed.clear()
    # All customers are fitted by both kinds, but for one that grid-x leaves out.
    with pytest.raises(RowsTooAlike, match="an earlier run, be it a fold, was over nearly the same customers"):
        fit(world, [positions_of(world, FIT)[0]])
    assert not {"query.protected_open", "query.protected_clear"} & {action for action, _ in world.crossed}


def holding_out(world, bank, more):
    """Have a bank hold out so many of the customers that it would fit."""
    opened = world.nodes[bank]._opened

    def node():
        found = opened()
        moved = np.zeros(len(found.rows.training), dtype=bool)
        moved[np.flatnonzero(found.rows.training)[:more]] = True
        rows = replace(found.rows, training=found.rows.training & ~moved, held_out=found.rows.held_out | moved)
        found.rows = rows
        return found

    world.nodes[bank]._opened = node


def positions_of(world, purpose):
    """Where bank-a and grid-x have customers for this purpose, by a world of its own that remembers nothing."""
    return positions(World(rows=400), purpose)


def test_banks_release_no_scores_of_a_run_that_they_would_not_fit():
    world, memories = World(rows=400), Memories()
    remembering(world, memories)
    world.training(QUICK, joint=0).fit()
    holding_out(world, "bank-a", 1)
    training = world.training(QUICK, joint=0)
    training._introduce()
    with pytest.raises(RowsTooAlike, match="an earlier run, be it a fold, was over nearly the same customers"):
        training._count()
    for action in ("columns", "clear", "histogram"):
        with pytest.raises(TrainingFailed, match="nothing is opened before banks have counted their rows"):
            training.ask(action, {"bank-a": Content()})
