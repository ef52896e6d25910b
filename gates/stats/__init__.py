"""Pure numbers: no frames, no input or output."""
