"""Accounts and balanced entries over many assets: the only thing that moves value."""
