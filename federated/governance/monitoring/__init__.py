"""What scores and customers show of a version: its score log, drift of scores and columns, fairness by segment."""
