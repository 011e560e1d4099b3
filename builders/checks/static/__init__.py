"""Checks of a .deb's bytes, without running anything."""
