"""Who plays in the sandbox: the banks, grid companies and other parties that every generated world has."""

from __future__ import annotations

REGISTRY, EXCHANGE, VERIFIER = "registry-sip", "exchange-seee", "verifier-cqc"
BANKS = ("bank-gusu", "bank-jinji", "bank-taihu")
GRIDS = ("grid-sip", "grid-gaoxin")
