"""Assessment, product, decision, loan: what may be lent, at what rate, and what is owed on a date."""
