"""Reef: cross-build TensorFlow for ARM boards, package it for Debian, publish it with apt."""

__version__ = "0.2.0"
"""Read by pyproject.toml, too."""
