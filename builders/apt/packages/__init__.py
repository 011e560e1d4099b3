"""Incoming packages: their bytes are read once, within limits, and nothing in them is trusted."""
