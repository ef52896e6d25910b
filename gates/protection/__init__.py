"""What a repository must set so that a gate cannot be walked around, and what is still open."""
