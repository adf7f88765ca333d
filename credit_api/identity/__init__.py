"""The identity authority: who a key belongs to, attested and revoked by a party of its own."""
