"""Debian roots: made by mmdebstrap, cached by their manifest, and the kernel's means to run programs in them."""
