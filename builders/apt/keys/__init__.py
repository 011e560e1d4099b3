"""The signing keys: gpg's home, rotation over the years, and the package that brings them to boards."""
