"""Organisations that sign with keys of their own, outside the service."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from credit_api.app.sandbox import OFFICER
from credit_api.http.auth.keys import issue
from financing.base.signing import message_of
from financing.ledger.signing import KEY_DOMAIN, key_document


class Holder:
    """An organisation with a key of its own, outside the service."""

    def __init__(self, world, who):
        self.world, self.who, self.key = world, who, Ed25519PrivateKey.generate()
        self.public_key = self.key.public_key().public_bytes_raw().hex()

    def registration(self, *, of=None, key=None):
        proof = (key or self.key).sign(message_of(KEY_DOMAIN, key_document(of or self.who, self.public_key)))
        return {"public_key": self.public_key, "proof": proof.hex()}

    def registered(self):
        return self.world.post(self.who, "/v1/signing-keys", self.registration())

    def signed(self, text):
        return self.key.sign(text.encode()).hex()

    def asked(self, path, body):
        """What the service answers to a command that is not signed yet."""
        return self.world.post(self.who, path, body, status=409).json()

    def fields(self, problem):
        assert problem["code"] == "signature_needed"
        context = problem["context"]
        assert self.public_key in context["public_keys"].split()
        fields = {"signature": self.signed(context["to_sign"])}
        return fields | {"signed_at": context["signed_at"]} if "signed_at" in context else fields

    def post(self, path, body=None):
        """A command in two steps: asked what to sign, and signed."""
        body = body or {}
        return self.world.post(self.who, path, body | self.fields(self.asked(path, body)))


def member(world, who):
    world.keys[who] = world.parts.writer.execute(
        lambda unit: issue(unit.connection, f"{who}:{OFFICER}", "test", world.now)
    )
    holder = Holder(world, who)
    holder.registered()
    return holder
