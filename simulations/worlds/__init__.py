"""Worlds: seeded generated populations and sandboxes, labelled generated wherever a number of theirs is shown."""
