"""The chroot engine: jobs in Debian roots of this machine, without a container engine.

Programs inside a root's namespaces start through this file, so it imports nothing: they must start fast.
"""
