"""What a whole book of loans may lose: joint simulation, stress, reverse stress."""
