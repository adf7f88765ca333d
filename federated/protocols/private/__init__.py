"""Private training among banks that hold the same columns of different customers.

The operator proposes a plan; each bank checks it against its own policy, writes its whole cost into its own ledger, and
only then answers. Every stage is one secure sum over the banks that accepted: noisy integers, masked. A bank that
refuses or leaves is a dropout until the threshold, below which the run ends and nothing is unmasked. The guarantee is
that of `federated.privacy.differential`.
"""
