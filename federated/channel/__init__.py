"""How nodes of a network know each other on the wire: their certificates, who issues them, and TLS between them."""
