"""Registry: immutable model versions on disk, each with a manifest that says what it is and where it came from."""
