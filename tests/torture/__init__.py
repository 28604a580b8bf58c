"""The real program, killed again and again while the API misbehaves."""
