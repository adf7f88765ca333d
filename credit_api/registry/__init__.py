"""Oversight, packages, transfers between regions and the overlap guard, over HTTP."""
