"""Report to text: pure, escaped, fitted to each surface."""
