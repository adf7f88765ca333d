"""What anyone may read: statistics, units in the shape of the CAD Trust, the subsidy calculator."""
