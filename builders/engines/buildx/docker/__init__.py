"""Docker engines: where they are, whether they answer, and what they hold."""
