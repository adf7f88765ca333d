"""Counts of a protected model: exact, in blocks that give no label away, and masked on the way to who reads them."""

from dataclasses import replace

import numpy as np
import pytest
from protected_world import BANKS, FEW, SEGMENTS, World, held_rows

from federated.errors import AggregationFailed, TrainingFailed
from federated.models.served.calibration import NONE
from federated.models.served.metrics import metrics_of
from federated.privacy.attacks.cell_counts import certain_labels, largest_chance
from federated.privacy.vertical.counting import Counter
from federated.privacy.vertical.suppression import LEAST_OF_EACH, LEAST_ROWS
from federated.protocols.core.messages import Content
from federated.protocols.protected import evaluation
from federated.protocols.protected.evaluation import LEAST_CELL, judged


@pytest.fixture(scope="module")
def found(fitted):
    return judged(fitted[1], SEGMENTS, -1.0)


def test_counts_on_shares_are_those_of_the_rows(fitted, found):
    world, training = fitted
    held, rows = found, held_rows(world, training)
    labels = world.labels[rows]
    assert held.logit == pytest.approx(world.logits(training)[rows], abs=0.03)
    assert held.defaults.tolist() == np.bincount(held.block, labels).tolist()
    assert len(held.defaults) > 8
    assert held.rows.min() >= LEAST_ROWS
    assert min(held.defaults.min(), (held.rows - held.defaults).min()) >= LEAST_OF_EACH
    members = {"young": world.bank[:, 1] > 0, "solar": world.group > 0, "bank": world.of_bank}
    assert len(held.groups) == 6
    for (segment, name), group in held.groups.items():
        own = members[segment][rows] == (BANKS.index(name) if segment == "bank" else int(name))
        assert group.rows.tolist() == np.bincount(group.band[own], minlength=len(group.rows)).tolist()
        lower = np.bincount(group.band[own & (held.logit < -1.0)], minlength=len(group.rows))
        assert group.lower.tolist() == lower.tolist()
        assert group.defaults.tolist() == np.bincount(group.band[own], labels[own], len(group.rows)).tolist()
    with pytest.raises(TrainingFailed, match=r"masks for groups with grid-. are told once a run"):
        judged(training, SEGMENTS, -1.0)


def test_figures_of_blocks_are_close_to_those_of_the_rows(fitted, found):
    world, training = fitted
    rows, held = held_rows(world, training), found
    exact = metrics_of(world.logits(training)[rows], world.labels[rows])
    drawn = [held.histograms(NONE, labels, held.odds(), 1) for labels in held.drawn(3)]
    auc, brier = (np.mean([getattr(h["all", "0"].metrics(), name) for h in drawn]) for name in ("auc", "brier"))
    assert auc == pytest.approx(exact.auc, abs=0.01)
    assert brier == pytest.approx(exact.brier, abs=0.004)
    assert exact.auc > 0.7
    for labels in held.drawn(3, draws=2):
        assert np.bincount(held.block, labels).tolist() == held.defaults.tolist()
    young = drawn[0]["young", "1"].counts.sum(axis=1)
    bank = metrics_of(world.logits(training)[rows][held.owner == 0], world.labels[rows][held.owner == 0])
    assert np.mean([h["bank", "bank-a"].metrics().auc for h in drawn]) == pytest.approx(bank.auc, abs=0.03)
    group = held.groups["young", "1"]
    assert young.tolist() == [(group.rows - group.defaults).sum(), group.defaults.sum()]


def test_no_label_follows_for_sure_from_what_the_operator_is_told(fitted, found):
    world, training = fitted
    sums = found.sums(BANKS)
    assert certain_labels(len(found.logit), sums) == 0
    assert largest_chance(sums) < 1.0
    # Nor to somebody who knows of each row in which group it is, of all segments at once.
    rows = held_rows(world, training)
    for (segment, name), group in found.groups.items():
        if segment != "bank":
            own = (world.bank[:, 1] > 0 if segment == "young" else world.group > 0)[rows] == bool(int(name))
            sums += [(np.flatnonzero(own & (group.band == k)), int(d)) for k, d in enumerate(group.defaults)]
    assert certain_labels(len(rows), sums) == 0
    # Counts by bank in each cell of twenty, as they were told before, say more.
    cell = np.argsort(np.argsort(found.logit)) // LEAST_CELL
    owner, labels = found.owner, world.labels[rows]
    fine = [np.flatnonzero((cell == c) & (owner == b)) for c in range(cell.max() + 1) for b in (0, 1)]
    assert certain_labels(len(rows), [(own, int(labels[own].sum())) for own in fine if len(own)]) > 15


def test_counts_reach_the_operator_behind_masks_and_the_reader_finds_changed_ones():
    world = World()
    training = world.training()
    training.fit()
    asked, seen = training.ask, []

    def listening(action, requests):
        if action == "release":
            (reader,) = requests
            seen.append(requests[reader])
            for name in ("total/bank", "total/grid"):
                changed = requests[reader].arrays | {name: requests[reader].arrays[name] + np.uint64(0)}
                changed[name][5] += np.uint64(3)
                with pytest.raises(AggregationFailed, match="counts were changed on the way"):
                    world.nodes[reader]._judging._read(Content(changed, requests[reader].config))
            with pytest.raises(TrainingFailed, match="bank-b does not read counts"):
                asked(action, {"bank-b": requests[reader]})
        return asked(action, requests)

    training.ask = listening
    judged(training, SEGMENTS, -1.0)
    for total in (seen[0].arrays["total/bank"], seen[0].arrays["total/grid"]):
        assert (total < 1 << 32).mean() < 0.01
    with pytest.raises(TrainingFailed, match="released counts are told once a run"):
        asked("release", {"bank-a": seen[0]})
    again = Content(config={"cells": 3, "vectors": ["rows"], "held_by": "bank"})
    with pytest.raises(TrainingFailed, match="deals for what a bank holds are told once a run"):
        asked("deal", {"grid-x": again})
    with pytest.raises(TrainingFailed, match="nothing is counted that a reader holds"):
        asked("deal", {"grid-x": Content(config={**again.config, "held_by": "reader"})})


def test_too_few_held_out_defaults_are_not_counted_at_all():
    world = World(rows=600)
    world.labels[world.held_out & (np.cumsum(world.labels * world.held_out) > 2)] = 0
    world.apps = world._apps()
    training = world.training()
    training.fit()
    with pytest.raises(TrainingFailed, match="fewer than 20 rows with 3 defaults and 3 that paid are held out"):
        judged(training, SEGMENTS, -1.0)


def test_an_operator_whose_cells_are_no_cells_is_told_nothing(monkeypatch):
    """Where a row counts 2^j times in its cell, the count of a cell's defaults is all of their labels."""

    class Weighing(Counter):
        def __init__(self, cell, cells, vectors, key, dealers):
            super().__init__(cell, cells, vectors, key, dealers)
            place = np.arange(len(cell)) - np.searchsorted(np.sort(cell), np.sort(cell))
            weight = np.zeros(len(cell), dtype=np.uint64)
            weight[np.argsort(cell, kind="stable")] = np.uint64(1) << np.minimum(place, 20).astype(np.uint64)
            mask = self._one_hot - self.hidden
            self._one_hot = self._one_hot * weight[:, None]
            self.hidden = self._one_hot - mask

    monkeypatch.setattr(evaluation, "Counter", Weighing)
    training = World(rows=900).training(replace(FEW, trees=0))
    training.fit()
    with pytest.raises(AggregationFailed, match="other rows are counted where banks hold out"):
        judged(training, [], -1.0)


def test_products_that_an_earlier_run_left_behind_are_no_part_of_the_next():
    world = World(rows=900)
    first = world.training()
    first.fit()
    asking = first.ask

    def ending(action, requests):
        if action == "multiply" and any(content.under("opened") for content in requests.values()):
            raise ConnectionError("gone")
        return asking(action, requests)

    first.ask = ending
    with pytest.raises(ConnectionError):
        judged(first, SEGMENTS, -1.0)
    assert world.nodes["bank-a"]._judging._multiplying._begun
    world.training()._introduce()
    assert not world.nodes["bank-a"]._judging._multiplying._begun
