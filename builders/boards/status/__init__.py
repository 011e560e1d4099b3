"""The state of boards: what each runs, what differs from what it should run, its last rollout, and why."""
