"""Record-level differential privacy for banks that add numbers up: bounding, noise, and the account of both.

Adjacency: two data sets of one bank are neighbours if one has one record more (add or remove one; all of its columns,
its label, and that it is there at all are protected). Guarantee: whatever the operator sees of all runs that a bank
took part in is (ε, δ)-differentially private for each record of that bank, with the ε and δ of the bank's own ledger.

Against whom: the operator, and up to `colluding` banks who tell it what they know, all of them curious, following the
protocol as far as noise of their own goes, and free to lie otherwise. Vectors travel through secure aggregation, so
only sums over at least `threshold` banks are seen; each bank adds discrete Gaussian noise of variance
σ²/(threshold − colluding) to its integers before they are masked. The sum over any survivors then holds noise of
variance σ² or more that none of those people knows. Every number that leaves a bank is inside the account: bin edges,
moments, counts of scores. What is not hidden: that the bank takes part, the public ranges of columns, the plan, and
how long an answer takes. What one record contributes is computed from that record alone; where a library works on many
at once (gradients of a network) that holds but for the last digits of a double, before rounding to a coarse grid.

Bounding (`bounding`, `edges`, `moments`, `counts`) and noising (`noise`) are apart: the first proves how far one record
can move an integer vector, the second adds noise to that length, `accountant` turns both into ε. No floating-point
noise is drawn anywhere: sampling is exact over the integers (Canonne, Kamath, Steinke 2020, in OpenDP's code).
"""
