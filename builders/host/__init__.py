"""This machine: programs, files, time, the log, and apt's configuration."""
