"""The GitHub leaf, the only part that knows GitHub: context, file commands, a REST client."""
