"""Maintenance of a project and its machine; nothing here builds or publishes."""
