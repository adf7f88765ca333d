"""Nodes in processes of their own: what one answers others over mutual TLS, and how one asks them."""
