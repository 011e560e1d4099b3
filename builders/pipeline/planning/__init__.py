"""Planning, without side effects: build targets, their fingerprints and records, and the actions that are due."""
