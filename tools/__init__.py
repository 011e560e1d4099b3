"""Tools of Reef's own developers; `./inv` and the packages that it builds need none of them."""
