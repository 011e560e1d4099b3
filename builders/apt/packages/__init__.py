"""Packages on their way in: their bytes are read once, within bounds, and nothing in them is trusted."""
