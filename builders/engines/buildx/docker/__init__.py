"""Docker engines: their addresses, whether they answer, and their images."""
