"""Reef: deb stage."""
