"""Where registered baselines are kept."""
