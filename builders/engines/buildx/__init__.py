"""The buildx engine: jobs run in containers of a Docker engine, on this machine or another."""
