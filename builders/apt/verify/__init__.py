"""Judging a repository from outside: by its digests and signatures, and by real apt."""
