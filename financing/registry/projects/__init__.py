"""Projects and meters: who registers what under which methodology."""
