"""What a node remembers of a run between messages, in its own Flower `Context`: encoder, settings, offsets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from numpy.typing import NDArray

from federated.errors import TrainingFailed
from federated.models.encoding import RampEncoder
from federated.training.messages import Arrays


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


def remember(context: Context, name: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Keep arrays under `name` in the node's context."""
    context.state[name] = ArrayRecord({key: Array(np.ascontiguousarray(a)) for key, a in arrays.items()})


def recall(context: Context, name: str) -> Arrays:
    """Arrays kept under `name`; empty if nothing was kept."""
    record = context.state.array_records.get(name)
    return {} if record is None else {key: a.numpy() for key, a in record.items()}
