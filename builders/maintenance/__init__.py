"""What keeps a project and its machine in order; nothing here builds or publishes."""
