"""What publishing remembers between runs, in SQLite files outside the repository. Losing them only costs time."""
