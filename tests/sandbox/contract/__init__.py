"""The same assertions on moto, on the sandbox and, by `make contract-aws`, on AWS itself."""
