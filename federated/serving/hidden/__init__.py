"""Scores by a function whose weights banks alone know: each party's side of a query, and the operator between them.

The arithmetic is in `privacy.vertical.hidden_function`, which states what who learns. A side takes its function from an
approved version, its secret from its own node's store, and checks the one against the other before it says anything.
The grid company checks consent, counts the query and logs it before it says anything of a customer, and checks consent
again before each further message. Each side names a nonce and takes each step of a query once; a query lives in memory
alone, so one that was interrupted is asked anew, with other keys.

Who passes messages on reads none of them: neither contributions, reasons, nor the logit, which the bank's side
calibrates. It learns that a query was made and whether it was answered; the dealer does not learn of whom.
"""
