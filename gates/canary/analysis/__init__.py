"""What the counts of a step say: pass, fail, or not yet."""
