"""The policy file, and the judge that applies it to log groups."""
