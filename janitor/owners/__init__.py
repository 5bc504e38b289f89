"""Find out who uses a log group."""
