"""A report as one HTML file that opens offline: no script, no font, no image from elsewhere."""
