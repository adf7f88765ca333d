"""Vertical training in which nobody sees a row's residual or partial logit but as a random number.

A bank (labels y, columns X_b) and a grid company (columns X_g) fit the logit X_b·β_b + X_g·β_g. The bank holds all
coefficients; X_g·β_g comes about on shares (`weighing`). The residual y − σ(z) is computed on shares: σ is replaced by
a cubic around the overall rate, products of shares use random triples (Beaver, CRYPTO 1991) that a third node deals
without seeing anything that the pair says. Of the product Xᵀr the shares are added up, one number a column, and a bank
alone reads what they come to.

Guarantee: where the bank and the grid company follow the protocol, a party's view of a step is uniform random numbers,
and of one bank the gradients: neither the grid company nor the operator learns anything of a label, and a bank learns
nothing of a customer's electricity columns or partial logit but what gradients, sums over all customers, say. That
holds though the operator and the dealer deal what they like, together, since wrong triples and products end the run
(`triples`, `weighing`), and though the operator and one of the pair put together what they see. It does not hold where
the dealer and one of the pair do; the dealer is the operator in a run of two nodes (`dealer`).

The overall rate is public.
Sources: Mohassel and Zhang, "SecureML" (IEEE S&P 2017) for shares, triples and truncation; Böhning and Lindsay,
"Monotonicity of quadratic-approximation algorithms" (AISM 1988) for steps with ¼·XᵀX in place of the Hessian.
"""
