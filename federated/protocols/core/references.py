"""How training rows fall into bins of every column: what the drift of a version's customers is measured against."""

from __future__ import annotations

import numpy as np

from federated.errors import TrainingFailed
from federated.governance.manifest import FeatureReference
from federated.protocols.core.encoders import binning_arrays
from federated.protocols.core.messages import Content
from federated.protocols.core.session import Session, Side, added

BINS = 10
# By role and column.
References = dict[str, dict[str, FeatureReference]]


def references(session: Session) -> References:
    """All sides' columns. Raises `TrainingFailed` if nodes counted other columns than were agreed."""
    return {side.role: _side(session, side) for side in session.sides}


def _side(session: Session, side: Side) -> dict[str, FeatureReference]:
    coarse = side.binning.coarse(BINS)
    content = Content(binning_arrays(coarse))
    answers = session.board.ask("query.reference", dict.fromkeys(side.orgs, content))
    counts = added(answers, "counts").astype(np.int64)
    columns = side.categories.names
    if len(columns) != len(counts):
        raise TrainingFailed("nodes counted other columns than were agreed")
    references = {}
    for column, cuts, row in zip(columns, coarse.cuts, counts, strict=True):
        # Bins beyond a column's own cuts are empty; missing values are counted last.
        kept = [*row[: len(cuts) + 1].tolist(), int(row[-1])]
        references[column] = FeatureReference(tuple(cuts.tolist()), tuple(kept))
    return references
