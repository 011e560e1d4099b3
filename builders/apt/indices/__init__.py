"""The texts of a suite's indices: written, read, cut into chunks, compressed; nothing here touches a disk."""
