"""Claims of carbon neutrality: footprint, matched retirements, certificate."""
