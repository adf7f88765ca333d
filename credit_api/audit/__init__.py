"""The audit trail: who did what, for whom, and how it ended, in a chain that shows every change."""
