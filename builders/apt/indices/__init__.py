"""The texts of a suite's indices: how they are written, read, cut and packed; nothing here touches a disk."""
