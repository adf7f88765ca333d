"""Which sums may be opened: groups whose sums, however combined, never are one bank's vector.

Why only two disjoint groups. Sums of groups g ⊆ {1 … n} isolate no bank iff some z with no zero entry has Σ_{i∈g} z_i
= 0 for all of them (e_i lies outside the span iff some z orthogonal to it has z_i ≠ 0; a generic combination of these
has no zero). Of n numbers that are not 0, at least n/2 have the same sign, and no group among those adds up to 0. So if
f banks lie and f ≥ n − ⌈n/2⌉, some set of n − f banks contains no opened group: for 2 of 5 no choice of groups both
keeps every bank hidden and is sure to open one group without a liar. For 1 of 5 two disjoint groups do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.errors import PrivacyPlanRefused

LEAST_GROUP = 2
Groups = tuple[tuple[str, ...], ...]


def two_groups(banks: Sequence[str]) -> Groups:
    """`banks` in order of name, cut in two. Raises `PrivacyPlanRefused` for fewer than two groups' worth."""
    names = sorted(set(banks))
    if len(names) < 2 * LEAST_GROUP:
        raise PrivacyPlanRefused(f"{len(names)} banks make no two groups of {LEAST_GROUP}")
    half = len(names) // 2
    return tuple(names[:half]), tuple(names[half:])


def isolated(groups: Groups) -> frozenset[str]:
    """Banks whose own vector is a linear combination of the groups' sums."""
    names = sorted({bank for group in groups for bank in group})
    opened = np.array([[float(name in group) for name in names] for group in groups])
    rank = int(np.linalg.matrix_rank(opened)) if len(groups) else 0
    units = np.eye(len(names))
    with_unit = (np.linalg.matrix_rank(np.vstack([opened, unit])) for unit in units)
    return frozenset(name for name, with_it in zip(names, with_unit, strict=True) if with_it == rank)
