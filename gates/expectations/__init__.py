"""What may be expected of a table, and Great Expectations as the judge of it."""
