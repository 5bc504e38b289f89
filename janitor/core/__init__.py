"""Values, errors and exit codes, the clock, and text for people: what everything else speaks of."""
