"""How networks of several nodes become one. A new strategy is a file, a line in `named.py`, and a test."""
