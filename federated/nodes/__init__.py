"""Nodes: what runs inside a bank or a grid company, each on its own SQLite file; no raw feature leaves them."""
