"""What every protocol stands on: messages, alignment, rows, learners' sessions, judging, secure sums."""
