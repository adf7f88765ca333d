"""The sandbox's first participants and their API keys. All else comes in over the API, as anyone's would."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from credit_api.auth.keys import issue
from credit_api.wiring import Parts
from financing.persistence.organisation_store import Organisation
from financing.persistence.unit_of_work import UnitOfWork

FOUNDERS = (
    Organisation("registry-sip", "registry", "园区碳普惠登记中心(沙盒)", "SIP carbon registry (sandbox)"),
    Organisation("exchange-seee", "exchange", "环境能源交易所(沙盒)", "Environment exchange (sandbox)"),
    Organisation("verifier-cqc", "verifier", "核查机构(沙盒)", "Verifier (sandbox)"),
    Organisation("bank-gusu", "bank", "姑苏银行(沙盒)", "Gusu Bank (sandbox)"),
    Organisation("bank-jinji", "bank", "金鸡湖银行(沙盒)", "Jinji Lake Bank (sandbox)"),
    Organisation("bank-taihu", "bank", "太湖银行(沙盒)", "Taihu Bank (sandbox)"),
    Organisation("grid-sip", "grid", "园区供电公司(沙盒)", "SIP power supply company (sandbox)"),
    Organisation("grid-gaoxin", "grid", "高新区供电公司(沙盒)", "Gaoxin power supply company (sandbox)"),
)
KEYS_FILE = "sandbox-keys.json"


def found(parts: Parts) -> Path:
    """Register the founders with a key each, once. Returns the file of their keys (readable by its owner only)."""
    path = parts.settings.home / KEYS_FILE
    if path.exists():
        return path
    at = datetime.now(UTC)

    def run(unit: UnitOfWork) -> dict[str, str]:
        present = {organisation.id for organisation in unit.organisations.all()}
        for organisation in FOUNDERS:
            if organisation.id not in present:
                unit.organisations.add(organisation, at)
        return {each.id: issue(unit.connection, each.id, "sandbox", at) for each in FOUNDERS}

    keys = parts.writer.execute(run)
    # Seeding is a replay of commands with fixed keys and times, so the day it started on is kept with them.
    content = json.dumps({"started_at": at.isoformat(), "keys": keys}, indent=2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content + "\n")
    return path
