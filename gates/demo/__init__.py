"""The demo: a small repository as a user would have it, and the story that is played in it."""
