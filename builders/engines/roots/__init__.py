"""Debian roots: made by mmdebstrap, cached by their manifest, and what the kernel must do to run programs in them.

This file stays empty of imports: what runs inside a root's namespaces starts through it, and starts fast.
"""
