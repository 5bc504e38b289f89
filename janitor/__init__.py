"""cloudwatch-janitor: retention for log groups that have none, and proof before every deletion."""

__version__ = "0.1.0"
