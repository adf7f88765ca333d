"""What is learned: trees, convex learners, networks, scorecards. Torch only in `networks`."""
