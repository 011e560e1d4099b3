"""The apt repository; `builders.apt.api` is what the rest of Reef uses of it.

Nothing is imported here or in the rooms' own ``__init__``: the processes which read packages
(`builders.apt.packages.reader`) start fast and stay small.
"""
