"""The policy file, and what it says should be done with a log group."""
