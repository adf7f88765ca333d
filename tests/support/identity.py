"""An identity authority that serves in threads: its public API on loopback, its clerks' socket in its home."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from credit_api.app.settings import Limits
from credit_api.http.connections import guarded
from credit_api.identity.authority import IdentityAuthority
from credit_api.identity.service import clerks_service, public_service
from federated.channel.own_socket import listening
from simulations.local_network.layout import free_ports


def authority_of(home, secret):
    """A home with this secret key, such as a sandbox's wallet has."""
    IdentityAuthority.create(home, secret)
    return home


@contextmanager
def served(home, clock=None, context=None):
    """Its URL."""
    authority = IdentityAuthority(home) if clock is None else IdentityAuthority(home, clock)
    [port], own = free_ports(1), listening(home)
    options = {"log_level": "error", "lifespan": "off", "ws": "none"}
    if context is not None:
        options["ssl_context_factory"] = lambda *_: context
    public = uvicorn.Config(public_service(authority), port=port, http=guarded(Limits()), **options)
    clerks = uvicorn.Config(clerks_service(authority), log_level="error", lifespan="off", ws="none")
    servers = [(uvicorn.Server(public), ()), (uvicorn.Server(clerks), ([own],))]
    threads = [threading.Thread(target=server.run, args=given, daemon=True) for server, given in servers]
    for thread in threads:
        thread.start()
    while not all(server.started for server, _ in servers):
        time.sleep(0.01)
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{port}"
    finally:
        for server, _ in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(10)
        authority.close()
        own.close()
