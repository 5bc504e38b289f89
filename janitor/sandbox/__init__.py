"""One fake account: what `--sandbox` and the tests run on."""
