"""Where a rollout's journal and lease live: on the target, so that they outlive the runner."""
