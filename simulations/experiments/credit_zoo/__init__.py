"""Which learner reads credit best when no rows are pooled, on six public sets and on any labelled table."""
