"""Who uses a log group."""
