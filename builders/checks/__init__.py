"""Reef: checks stage."""
