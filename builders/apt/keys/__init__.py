"""The signing keys: gpg's home, their years, and the package that brings them to boards."""
