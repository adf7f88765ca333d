"""Use cases: load, decide, store; one commit each."""
