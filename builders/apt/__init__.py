"""Reef: apt stage."""
