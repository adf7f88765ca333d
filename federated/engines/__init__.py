"""Engines: implementations of Flower's Grid that carry messages between the operator and the nodes."""
