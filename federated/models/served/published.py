"""A function of which a version holds what is public alone: its arrays, and the hash that parts are kept under."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.served.functions import Arrays


class Published(ABC):
    """`part` is the folder of its arrays in a file, `called` how it is named where it cannot be read."""

    part: ClassVar[str]
    called: ClassVar[str]

    @abstractmethod
    def _public(self, start: str) -> Arrays:
        """All that is public, as flat arrays under `start`."""

    @classmethod
    @abstractmethod
    def _of_public(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The reverse of `_public("")`, of names without a leading slash. Raises `KeyError`, `ValueError`, `TypeError`
        or `IndexError` if something is missing or misshapen, `ModelCorrupt` if parts do not fit each other."""

    @cached_property
    def function_id(self) -> str:
        """SHA-256 (hex) of all that is public."""
        digest = hashlib.sha256()
        for name, array in sorted(self._public("").items()):
            digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def to_arrays(self, prefix: str) -> Arrays:
        """Flat arrays under `prefix`, for an npz file."""
        own = np.frombuffer(bytes.fromhex(self.function_id), dtype=np.uint8)
        return self._public(f"{prefix}/{self.part}") | {f"{prefix}/{self.part}/id": own}

    @classmethod
    def is_in(cls, prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> bool:
        """Whether the arrays under `prefix` are such a function."""
        return any(name.startswith(f"{prefix}/{cls.part}/") for name in arrays)

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt` if something is missing, misshapen or not finite."""
        start = f"{prefix}/{cls.part}/"
        own = {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
        try:
            function = cls._of_public(own)
            if np.asarray(own["id"], np.uint8).tobytes().hex() != function.function_id:
                raise ValueError("it is not the one that was hashed")
            return function
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ModelCorrupt(f"{cls.called} cannot be read: {error}", part=prefix) from None
