"""The way from a job's script, which has no network, to a server that shares compiled files.

Programs inside a root's namespaces start through this file, so it imports nothing: they must start fast.
"""
