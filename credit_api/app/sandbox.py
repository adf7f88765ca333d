"""The sandbox's first participants and their API keys. All else comes in over the API, as anyone's would."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from credit_api.app.wiring import Parts
from credit_api.http.auth.keys import authenticate, issue
from credit_api.http.auth.principal import digest
from financing.base.authority import EVERY_ROLE
from financing.ledger.organisations import Organisation
from financing.ledger.people import Person
from financing.lending.unit import UnitOfWork

FOUNDERS = (
    Organisation("registry-sip", "registry", "园区碳普惠登记中心(沙盒)", "SIP carbon registry (sandbox)"),
    Organisation("registry-hailing", "registry", "泰州海陵登记机构(沙盒)", "Hailing registry, Taizhou (sandbox)"),
    Organisation("registry-chuzhou", "registry", "滁州登记机构(沙盒)", "Chuzhou registry (sandbox)"),
    Organisation("registry-chengdu", "registry", "成都登记机构(沙盒)", "Chengdu registry (sandbox)"),
    Organisation("registry-jiaxing", "registry", "嘉兴登记机构(沙盒)", "Jiaxing registry (sandbox)"),
    Organisation("exchange-seee", "exchange", "环境能源交易所(沙盒)", "Environment exchange (sandbox)"),
    Organisation("verifier-cqc", "verifier", "中国质量认证中心(沙盒)", "CQC (sandbox)"),
    Organisation("verifier-cti", "verifier", "华测核查(沙盒)", "CTI (sandbox)"),
    Organisation("verifier-sgs", "verifier", "通标核查(沙盒)", "SGS (sandbox)"),
    Organisation("verifier-bsi", "verifier", "英标核查(沙盒)", "BSI (sandbox)"),
    Organisation("bank-gusu", "bank", "姑苏银行(沙盒)", "Gusu Bank (sandbox)"),
    Organisation("bank-jinji", "bank", "金鸡湖银行(沙盒)", "Jinji Lake Bank (sandbox)"),
    Organisation("bank-taihu", "bank", "太湖银行(沙盒)", "Taihu Bank (sandbox)"),
    Organisation("grid-sip", "grid", "园区供电公司(沙盒)", "SIP power supply company (sandbox)"),
    Organisation("grid-gaoxin", "grid", "高新区供电公司(沙盒)", "Gaoxin power supply company (sandbox)"),
)
KEYS_FILE = "sandbox-keys.json"
OFFICER, SECOND = OFFICERS = ("officer", "second")

MARK_FILE = "sandbox-seeded"


def register_founders(parts: Parts) -> Path:
    """Register the founders with a key each, once a database. Returns the file of their keys (its owner's only).

    Seeding is a replay of commands with fixed keys and times, so the day it started on is kept with the keys, also when
    the same home is used with another database.
    """
    path = parts.settings.home / KEYS_FILE
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if content and _valid(parts, content["keys"].get(FOUNDERS[0].id, "")):
        return path
    at = datetime.now(UTC)

    keys = parts.writer.execute(lambda unit: admit_founders(unit, at))
    founded = {"started_at": content.get("started_at", at.isoformat()), "keys": keys}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(founded, indent=2) + "\n")
    return path


def admit_founders(unit: UnitOfWork, at: datetime) -> dict[str, str]:
    """Register the founders that are not there yet; a new key of the officer of each, and of the second one
    (`<organisation>:second`)."""
    present = {organisation.id for organisation in unit.organisations.all()}
    keys = {}
    for organisation in FOUNDERS:
        if organisation.id not in present:
            unit.organisations.add(organisation, at)
        for name in OFFICERS:
            person = officer(unit, organisation.id, name, at)
            key = organisation.id if name == OFFICER else f"{organisation.id}:{name}"
            keys[key] = issue(unit.connection, person.person_id, "sandbox", at)
    return keys


def officer(unit: UnitOfWork, organisation_id: str, name: str, at: datetime) -> Person:
    """One of the two people that everybody may act as in a sandbox; made when somebody first does."""
    person_id = f"{organisation_id}:{name}"
    known = next((each for each in unit.people.of(organisation_id) if each.person_id == person_id), None)
    if known is None:
        known = Person(person_id, organisation_id, name, EVERY_ROLE, at)
        unit.people.add(known)
    return known


def is_seeded(parts: Parts) -> bool:
    """Whether these very books were seeded to the end: the mark names them by the hash of their first entry."""
    mark = parts.settings.home / MARK_FILE
    return mark.exists() and mark.read_text("utf-8").strip() == _first_hash(parts)


def mark_seeded(parts: Parts) -> None:
    (parts.settings.home / MARK_FILE).write_text(_first_hash(parts) + "\n", encoding="utf-8")


def _first_hash(parts: Parts) -> str:
    with parts.reading() as connection:
        return UnitOfWork(connection).ledger.first_hash()


def _valid(parts: Parts, key: str) -> bool:
    with parts.reading() as connection:
        return authenticate(connection, digest(key), parts.clock()) is not None
