"""The buildx engine: the same jobs as the chroot engine's, in containers of a Docker engine near or far."""
