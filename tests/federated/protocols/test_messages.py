"""Arrays in Flower messages: as they were, in the form that Flower itself reads, refused where they are not whole."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from federated.errors import TrainingFailed
from federated.protocols.core.messages import Content, pack, unpack

ARRAYS = (
    np.arange(200.0).reshape(20, 10),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(6, dtype=np.uint64)[::2],
    np.zeros((0, 3), np.float32),
    np.array([True, False]),
)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{list(a.shape)}")
def test_an_array_arrives_as_it_was_and_flower_reads_it_too(array):
    record = pack(Content({"a": array}))
    for found in (unpack(record).arrays["a"], record["arrays"]["a"].numpy()):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, array)
    by_flower = RecordDict({"arrays": ArrayRecord({"a": Array(array)}), "config": ConfigRecord({})})
    assert np.array_equal(unpack(by_flower).arrays["a"], array)


@pytest.mark.parametrize("dtype", ["O", "zz", "float64"])
@pytest.mark.parametrize("data", [b"", b"x", pack(Content({"a": np.zeros(2)}))["arrays"]["a"].data[:-4]])
def test_what_is_no_array_is_refused(dtype, data):
    record = RecordDict({"arrays": ArrayRecord({"a": Array(dtype, (2,), "numpy.ndarray", data)})})
    with pytest.raises(TrainingFailed, match="cannot be read"):
        unpack(record)
