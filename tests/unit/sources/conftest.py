"""The fixtures of tests/support/sources.py, for every test of this folder."""

from tests.support.sources import _no_pauses, bench, site  # noqa: F401 - fixtures
