"""Domain records as JSON columns: what must be constrained or searched stands in its own column beside them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from financing.base.errors import CorruptData

T = TypeVar("T")


class Fact(BaseModel, frozen=True, json_schema_serialization_defaults_required=True):
    """A domain type whose fields its row and its answer share by inheriting them. An answer always has every field."""


class Codec(Generic[T]):
    """Turns a frozen domain type into plain JSON and back, nested value types included, without loss."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def encode(self, record: T) -> dict[str, Any]:
        return cast(dict[str, Any], self._adapter.dump_python(record, mode="json"))

    def decode(self, stored: dict[str, Any]) -> T:
        """The record. Raises `CorruptData` if what is stored is not one."""
        try:
            return self._adapter.validate_python(stored)
        except ValidationError as error:
            raise CorruptData(f"a stored {self._kind.__name__} cannot be read", errors=error.error_count()) from error
