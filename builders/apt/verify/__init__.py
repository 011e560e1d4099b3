"""Verifying a repository from outside: by its digests and signatures, and with real apt."""
