"""Transfers of credits between regions."""
