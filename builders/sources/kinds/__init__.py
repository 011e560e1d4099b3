"""The kinds of sources: archives, git commits, folders of this machine."""
