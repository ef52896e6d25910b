"""HAProxy: its configuration, its run-time socket, and what it counts."""
