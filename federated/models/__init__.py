"""Models: encodings, per-party networks, their numpy inference, score scaling and reasons. Torch only in `networks`."""
