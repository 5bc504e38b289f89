"""A run: survey, plan, limits, act."""
