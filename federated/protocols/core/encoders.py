"""An encoder, and bins, as arrays of a message, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federated.errors import TrainingFailed
from federated.models.encoding.binning import Binning
from federated.models.encoding.ramps import RampEncoder
from federated.protocols.core.messages import Arrays, Content


def encoder_arrays(encoder: RampEncoder) -> Arrays:
    """An encoder as arrays for a message."""
    arrays: Arrays = {f"edges/{j:04d}": e for j, e in enumerate(encoder.edges)}
    arrays["reference"] = encoder.reference
    return arrays


def encoder_of(arrays: Mapping[str, NDArray[np.generic]]) -> RampEncoder:
    """The encoder in a message written by `encoder_arrays`. Raises `TrainingFailed` if there is none."""
    names = sorted(name for name in arrays if name.startswith("edges/"))
    if not names or "reference" not in arrays:
        raise TrainingFailed("the message carries no encoder")
    edges = tuple(np.asarray(arrays[name], dtype=np.float64) for name in names)
    return RampEncoder(edges, np.asarray(arrays["reference"], dtype=np.float64))


def binning_arrays(binning: Binning) -> Arrays:
    """Bins as arrays for a message."""
    return {f"cuts/{j:04d}": cuts for j, cuts in enumerate(binning.cuts)}


def binning_of(content: Content) -> Binning:
    """The bins in a message that `binning_arrays` are part of."""
    cuts = content.under("cuts")
    return Binning(tuple(np.asarray(cuts[name], dtype=np.float64) for name in sorted(cuts)))
