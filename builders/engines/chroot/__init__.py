"""The chroot engine: jobs in Debian roots of this machine, without a container engine.

This file stays empty of imports: what runs inside a root's namespaces starts through it, and starts fast.
"""
