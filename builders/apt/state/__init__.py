"""The memory of publishing between runs, in SQLite files outside the repository. Losing them only costs time."""
