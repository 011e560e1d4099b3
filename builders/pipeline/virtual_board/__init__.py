"""Virtual boards: whole arm64 machines in QEMU, to try boards without hardware, and for tests."""
