"""What publishing remembers between runs, in SQLite files outside the repository; losing it only costs time."""
