"""What is to be done, and why: fingerprints, records, plans; without side effects."""
