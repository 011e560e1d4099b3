"""Reef: sources stage."""
