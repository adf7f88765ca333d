"""Projects, monitoring periods, verification statements, serial blocks and retirements."""
