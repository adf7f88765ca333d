"""What the columns of the sandbox's data sets are: schemas of parties' files, and public ranges, as dated TOML files.

A node's store carries its own schema, and a protocol that needs public ranges is given them, so nothing in the product
knows these data sets by name.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from federated.errors import SchemaMismatch
from federated.models.encoding.public_ranges import PublicTable, public_table_of
from federated.nodes.schema import FeatureSchema, schema_of
from federated.nodes.store import describe_store, is_described

FOLDER = resources.files("simulations.worlds")


@cache
def load_schemas() -> dict[str, FeatureSchema]:
    """Every schema, by schema id. Raises `CorruptData` if a file is not a schema."""
    files = sorted(FOLDER.joinpath("schemas").iterdir(), key=lambda file: file.name)
    schemas = [schema_of(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".toml")]
    return {schema.schema_id: schema for schema in schemas}


def load_schema(schema_id: str) -> FeatureSchema:
    """The schema with this id. Raises `SchemaMismatch` if there is none."""
    try:
        return load_schemas()[schema_id]
    except KeyError:
        raise SchemaMismatch(f"unknown feature schema {schema_id!r}", schema_id=schema_id) from None


@cache
def load_ranges(table: str) -> PublicTable:
    """The public ranges of a table. Raises `SchemaMismatch` if there are none, `CorruptData` if they contradict."""
    file = FOLDER / "ranges" / f"{table}.toml"
    if not file.is_file():
        raise SchemaMismatch(f"no public ranges are agreed for {table}", table=table)
    return public_table_of(table, file.read_bytes())


def describe_stores(home: Path) -> list[str]:
    """Write into older stores under `home`/nodes what their columns are; the names of those that did not say.

    Raises `StoreOutdated` for a store of columns that are not a sandbox's.
    """
    silent = [path for path in sorted((home / "nodes").glob("*.db")) if not is_described(path)]
    for path in silent:
        describe_store(path, load_schemas())
    return [path.stem for path in silent]
