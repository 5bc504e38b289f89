"""How AWS is called: clients, pace, retries, quotas. Only `logs` calls CloudWatch Logs."""
