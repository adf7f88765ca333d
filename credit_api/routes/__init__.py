"""HTTP routes under /v1: thin, one call into a service each."""
