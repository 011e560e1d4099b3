"""A publication on its way: staged aside, written, and switched to at one moment."""
