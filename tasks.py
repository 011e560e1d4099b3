"""Reef's tasks for Invoke's own command line, as in ``invoke build-arm``; ``./inv`` and ``reef`` have the same."""

from builders.cli.tasks import *  # noqa: F403 - Invoke collects the tasks that it finds here
