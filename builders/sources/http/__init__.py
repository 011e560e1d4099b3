"""Files that are fetched from a URL: sessions, transfers that continue, the cache by digest."""
