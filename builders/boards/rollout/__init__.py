"""Rollouts: the plan for each board, and the way through it."""
