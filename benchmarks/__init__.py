"""Speed as ratios side by side in one run; `make bench` runs all of it, on two threads."""
