"""Robustness of sums over banks against some that lie: bounds, opened groups, votes. Pure, numpy alone.

Guarantees and threat model. Up to f of n banks send anything, vote anything and collude; the operator is honest but
curious. `bounding`: what one bank moves a mean is limited, wherever somebody who sees the vector enforces it. `votes`:
with f < n/2 a candidate's verdict lies between two honest banks' losses. `groups`: no linear combination of opened sums
is one bank's vector. The last two exclude each other once f ≥ n/2 − ½: see `groups`.
"""
