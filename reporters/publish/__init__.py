"""Text to a place: what to do is decided by pure functions, and done by thin ones."""
