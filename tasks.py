"""Reef's tasks for Invoke: names, help, one call each."""

from invoke import Context

from builders import cli
from builders.cli import task
