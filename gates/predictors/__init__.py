"""Where a candidate's predictions come from."""
