"""What log groups cost, and what a change saves."""
