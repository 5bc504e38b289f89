"""Values, errors and exit codes, the clock, and text for people. Every other package uses it."""
