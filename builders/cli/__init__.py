"""The command line: Invoke's tasks call these modules; errors become messages and exit codes, results become tables."""
