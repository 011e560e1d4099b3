"""Builders: buildx and the nodes that it builds on."""
