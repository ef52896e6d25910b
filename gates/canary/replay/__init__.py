"""The same rows to both sides, past the router, before any user meets the canary."""
