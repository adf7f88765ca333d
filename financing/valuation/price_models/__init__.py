"""Carbon price processes, their fits, tails, curves and the haircuts that follow."""
