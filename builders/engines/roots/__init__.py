"""Debian roots: made by mmdebstrap, cached by their manifest, entered through namespaces and emulators.

Programs inside a root's namespaces start through this file, so it imports nothing: they must start fast.
"""
