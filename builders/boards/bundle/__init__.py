"""Bundles: signed repositories with just the packages that a board lacks, for boards without a network."""
