"""The sandbox's wallet: it signs as any subject, and attests keys as the identity authority. For sandboxes only.

In a real network every subject keeps its own key, on a card or a phone, and the authority (an electronic-signature
service under 电子签名法, article 16) attests it; nobody else holds either. A sandbox has nobody to play those parts, so
this file does. Whoever reads it can sign for everyone: it must not exist where real people's data are, so it is written
beside a generated population only, and beside a public set where somebody says that this is a sandbox.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from federated.consent.record import ConsentRecord, DataScope, KeyAttestation
from federated.consent.signature import attest, public_of, sign, sign_binding, sign_withdrawal
from federated.errors import CorruptData, DataMissing, NotPermitted

FILE = "sandbox-wallet.json"
GENERATED = "generated"
# A service keeps node stores, models and the wallet in this folder of its home.
NETWORK = "network"
NOTE = "Sandbox only: whoever holds this file signs as any subject and as the identity authority."
ATTESTED_FROM, ATTESTED_UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wallet:
    """Two secrets of 32 bytes: the seed of all subjects' keys, and the authority's own key.

    `home` is where it lies, and with it the node stores of its world, if it lies anywhere.
    """

    seed: bytes
    authority_secret: bytes
    home: Path | None = field(default=None, compare=False)

    @staticmethod
    def at(home: Path, data_origin: str, *, sandbox: bool = False) -> Wallet:
        """The wallet under `home`, made with fresh secrets if there is none yet; readable by its owner only.

        Raises `NotPermitted` where the data are not generated, unless somebody said that this is a `sandbox`.
        """
        if data_origin != GENERATED and not sandbox:
            detail = f"a wallet that signs for everyone is not kept beside {data_origin} data; say that it is a sandbox"
            raise NotPermitted(detail, data_origin=data_origin)
        path = home / FILE
        if path.exists():
            return Wallet.open(home)
        made = Wallet.fresh(home)
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            content = {"note": NOTE, "seed": made.seed.hex(), "authority": made.authority_secret.hex()}
            file.write(json.dumps(content, indent=1) + "\n")
        return made

    @staticmethod
    def fresh(home: Path | None = None) -> Wallet:
        """A wallet of fresh secrets that is written nowhere."""
        return Wallet(secrets.token_bytes(32), secrets.token_bytes(32), home)

    @staticmethod
    def open(home: Path) -> Wallet:
        """The wallet under `home`. Raises `DataMissing` if there is none, `CorruptData` if it cannot be read."""
        path = home / FILE
        if not path.is_file():
            raise DataMissing("there is no sandbox wallet here; subjects sign with keys of their own", file=FILE)
        try:
            raw = json.loads(path.read_text("utf-8"))
            return Wallet(bytes.fromhex(raw["seed"]), bytes.fromhex(raw["authority"]), home)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptData(f"{FILE} cannot be read: {error}", file=FILE) from error

    @property
    def authority(self) -> bytes:
        """The authority's public key (32 bytes), which nodes pin."""
        return public_of(self.authority_secret)

    def grid_of(self, subject_id: str) -> str:
        """The grid company of this world that has a file of the subject, as its electricity bill says; or empty."""
        for path in sorted((self.home / "nodes").glob("*.db")) if self.home else ():
            with closing(sqlite3.connect(path)) as db:
                ((role,),) = db.execute("SELECT value FROM meta WHERE key = 'role'")
                query = "SELECT 1 FROM files WHERE subject_id = ?"
                if role == "grid" and db.execute(query, (subject_id,)).fetchone():
                    return path.stem
        return ""

    def named(self, draft: ConsentRecord) -> ConsentRecord:
        """The draft with the grid company that serves its subject; without electricity data if none here does.

        Raises `InvalidConsent` if nothing else was to be opened.
        """
        if DataScope.ELECTRICITY not in draft.scope or draft.grid_id:
            return draft
        served = self.grid_of(draft.subject_id)
        return replace(draft, grid_id=served) if served else replace(draft, scope=draft.scope - {DataScope.ELECTRICITY})

    def sign(self, draft: ConsentRecord) -> ConsentRecord:
        """The draft signed as its subject, with an attestation of the key."""
        secret = self._secret(draft.subject_id)
        return sign(draft, secret, self._attested(draft.subject_id, public_of(secret)))

    def sign_withdrawal(self, record: ConsentRecord) -> bytes:
        """The subject's signature (64 bytes) over the withdrawal of its consent."""
        return sign_withdrawal(record, self._secret(record.subject_id))

    def binding(self, subject_id: str, organisation_id: str, challenge: str) -> dict[str, Any]:
        """What a firm sends to prove that it is this subject: the body of `POST /v1/subject/binding`."""
        secret = self._secret(subject_id)
        key = self._attested(subject_id, public_of(secret))
        return {
            "subject_id": subject_id,
            "challenge": challenge,
            "signature": sign_binding(subject_id, organisation_id, challenge, secret).hex(),
            "key": {
                "public_key": key.public_key.hex(),
                "valid_from": key.valid_from.isoformat(),
                "valid_until": key.valid_until.isoformat(),
                "signature": key.signature.hex(),
            },
        }

    def _secret(self, subject_id: str) -> bytes:
        # A key for each of any number of subjects, without a list of them.
        return HKDFExpand(SHA256(), 32, b"tanxin sandbox subject " + subject_id.encode()).derive(self.seed)

    def _attested(self, subject_id: str, public_key: bytes) -> KeyAttestation:
        return attest(self.authority_secret, subject_id, public_key, ATTESTED_FROM, ATTESTED_UNTIL)
