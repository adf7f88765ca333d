"""Training in which nobody reads a row of anybody else: vertical steps on shares, all sums under secure aggregation.

The model is linear in columns that are chosen without labels (`models.encoding.random_leaves`), of a grid company in
their principal components (`models.encoding.principal`). Banks fit theirs alone first; then residuals are computed on
shares between each bank and each grid company (`privacy.vertical`). What all parties add up to is the gradient, which
the bank that takes the steps reads and nobody else (`lead`). A third node deals what that takes, and learns of a pair
how many rows it has. Guarantee against semi-honest parties of whom no two collude, and for the first two points against
the operator together with a grid company (ADR 0030):

- the operator learns row counts, quantiles of each node's columns, sums of a side's Gram matrices, of customers held
  out for figures and calibration the score, in an order that a bank drew, and how many defaulted in blocks and groups
  of which no label follows (`privacy.vertical.suppression`); no gradient and no coefficient, and it says neither where
  one is taken nor how tightly a column is held;
- a grid company learns which of its customers are fitted and which are held out; neither coefficients nor gradients;
- banks learn all coefficients, and of how many customers columns are at the least, the lead gradients, sums over all
  customers;
- the first bank by name learns counts of defaults by cell of about 20 customers, also of other banks, but not whose.

Beyond that: whoever deals or passes on wrong corrections ends the run and reads nothing; and in a run of at least three
nodes the operator and one other node read nothing more of rows that are fitted, nor of labels that are counted, from
what passes by. A lead with other code reads rows of its own customers (ADR 0030). Of rows held out the
operator is told the sum of two logits, so with a bank it knows the grid company's. In a run of one bank and one grid
company the operator deals, and with either of them reads the other.

What passes is tried by `privacy.attacks.label_inference` for labels and by `privacy.attacks.feature_inference` for
electricity columns.
"""
