"""Publishing: the next publication is staged aside, written, and switched to at one moment."""
