"""Speed, each against a peer or a ceiling, both sides in one process."""
