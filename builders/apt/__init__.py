"""The apt repository; `builders.apt.api` is what the rest of Reef uses of it.

Nothing is imported here, so that the processes which read packages (`builders.apt.reader`) start fast and stay small.
"""
