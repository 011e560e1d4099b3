"""The nouns of Reef: what stages read and hand to each other; they hold facts and start nothing."""
