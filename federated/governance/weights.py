"""What a registered version computes with: two summed party functions, the bank-only companion, and calibrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federated.models.served.calibration import NONE, Calibration
from federated.models.served.functions import Arrays
from federated.models.served.hidden import HiddenFunction
from federated.models.served.kept import KeptFunction
from federated.models.served.scorer import PartyScorer

SCORERS = ("joint_bank", "joint_grid", "bank_only")
OWN = "own/"


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """Two scorers that are summed, one for want of a grid side, the calibration of either, and banks' own on top.

    The grid side is a function that its node computes, or one whose weights banks alone know; a bank's is public,
    or one whose weights banks keep. A bank is in `own` only if its customers differ significantly from the
    network's.
    """

    joint_bank: PartyScorer | KeptFunction
    joint_grid: PartyScorer | HiddenFunction
    bank_only: PartyScorer | KeptFunction
    joint: Calibration = NONE
    alone: Calibration = NONE
    own: Mapping[str, Calibration] = field(default_factory=dict)

    def calibrated(self, logit: float, bank_id: str, *, alone: bool) -> float:
        """The logit of default behind the answer to a bank."""
        calibrated = (self.alone if alone else self.joint)(np.array([logit]))
        own = None if alone else self.own.get(bank_id)
        return float((calibrated if own is None else own(calibrated))[0])

    def to_arrays(self) -> Arrays:
        """Flat arrays, for an npz file."""
        arrays: Arrays = {}
        for name in SCORERS:
            arrays |= getattr(self, name).to_arrays(name)
        arrays |= self.joint.to_arrays("joint") | self.alone.to_arrays("alone")
        for bank_id, calibration in self.own.items():
            arrays |= calibration.to_arrays(f"{OWN}{bank_id}")
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> ScoringModel:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt`."""
        bank, alone = (
            (KeptFunction if KeptFunction.is_in(name, arrays) else PartyScorer).from_arrays(name, arrays)
            for name in ("joint_bank", "bank_only")
        )
        is_hidden = HiddenFunction.is_in("joint_grid", arrays)
        banks = sorted({name[len(OWN) :].rsplit("/", 1)[0] for name in arrays if name.startswith(OWN)})
        return ScoringModel(
            bank,
            (HiddenFunction if is_hidden else PartyScorer).from_arrays("joint_grid", arrays),
            alone,
            joint=Calibration.from_arrays("joint", arrays),
            alone=Calibration.from_arrays("alone", arrays),
            own={bank: Calibration.from_arrays(f"{OWN}{bank}", arrays) for bank in banks},
        )
