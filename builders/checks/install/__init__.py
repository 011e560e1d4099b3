"""Checks by installing: packages are installed, run, upgraded and removed on the target's CPU."""
