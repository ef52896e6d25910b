"""Model files: which bytes there are, what they are by their content, and what they would run."""
