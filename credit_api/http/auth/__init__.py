"""Who is calling: API keys for programs, sessions for people."""
