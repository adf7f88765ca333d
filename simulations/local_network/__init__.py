"""A network of real processes on one machine: each party with its own home, keys, store and port on loopback.

A sandbox: one pair of hands makes all homes, hands out data and signs as customers. What runs afterwards is what runs
at the parties of a network.
"""
