"""The privacy report of a home: each run's parties, mechanism and budget, who sees what, and what was measured."""
