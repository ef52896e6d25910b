"""What people and machines read: a Report in, text out, or text to a place."""
