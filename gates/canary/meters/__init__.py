"""Meters: who counts both sides' requests where the site's own router does not."""
