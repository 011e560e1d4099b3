"""Boards: the inventory, connections, and rollouts."""
