"""Training in which nobody reads a row of anybody else: vertical steps on shares, all sums under secure aggregation.

The model is linear in columns that are chosen without labels (`models.encoding.random_leaves`). For the grid companies'
and the banks' columns in turn, residuals are computed on shares between each bank and each grid company
(`privacy.vertical`), and what all parties add up to is the gradient of a side, which alone is opened. Guarantee against
semi-honest parties of whom no two collude:

- the operator learns row counts, quantiles of each node's columns, sums of a side's columns (Gram matrices, gradients),
  coefficients, and of customers set aside for calibration and audit the score, by position and without ids, and how
  many defaulted in blocks and groups of which no label follows (`privacy.vertical.suppression`);
- a bank learns its own side's coefficients, a grid company its own side's; a step shows either the move of these;
- the first bank by name learns counts of defaults by cell of about 20 customers, also of other banks, but not whose.

What a grid company can still tell of labels from the moves of its coefficients is measured by
`privacy.attacks.label_inference`, what a bank can tell of electricity columns by `privacy.attacks.feature_inference`.
"""
