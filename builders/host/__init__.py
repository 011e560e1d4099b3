"""This machine: programs, files, time, the log, and what its apt uses."""
