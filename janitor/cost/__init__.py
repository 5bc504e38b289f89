"""What log groups cost, and how much a change saves."""
