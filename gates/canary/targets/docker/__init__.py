"""One Docker host behind an HAProxy."""
