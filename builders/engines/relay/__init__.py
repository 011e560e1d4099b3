"""The way from a job's script, which has no network, to a server that shares compiled files.

This file stays empty of imports: what runs inside a root's namespaces starts through it, and starts fast.
"""
