"""One page to explore a split with: every object, what was looked at, what was answered after each glimpse."""
