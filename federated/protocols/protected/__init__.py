"""Training in which nobody reads a row of anybody else: vertical steps on shares, all sums under secure aggregation.

The model is linear in columns that are chosen without labels (`models.encoding.random_leaves`), of a grid company in
few of them (`models.encoding.principal`, `privacy.vertical.columns`). Banks fit theirs alone first; then residuals are
computed on shares between each bank and each grid company (`privacy.vertical`), and what all parties add up to is the
gradient, which alone is opened. A third node deals what that takes, and learns of a pair how many rows it has.
Guarantee against semi-honest parties of whom no two collude:

- the operator learns row counts, quantiles of each node's columns, sums of a side's columns (Gram matrices, gradients),
  coefficients, and of customers set aside for calibration and audit the score, by position and without ids, and how
  many defaulted in blocks and groups of which no label follows (`privacy.vertical.suppression`);
- a bank learns its own side's coefficients, a grid company its own side's; a step shows either the move of these;
- the first bank by name learns counts of defaults by cell of about 20 customers, also of other banks, but not whose.

Beyond that: whoever deals or passes on wrong corrections ends the run and reads nothing; and in a run of at least three
nodes the operator and one other node read nothing more of rows that are fitted, nor of labels that are counted, from
what passes by. What an operator learns by coefficients of its own choosing is bounded by their number alone (ADR 0012).
Of rows set aside and held out the operator is told the sum of two logits, so with a bank it knows the grid company's.
In a run of one bank and one grid company the operator deals, and with either of them reads the other.

What a grid company can still tell of labels from the moves of its coefficients is measured by
`privacy.attacks.label_inference`, what a bank can tell of electricity columns by `privacy.attacks.feature_inference`.
"""
