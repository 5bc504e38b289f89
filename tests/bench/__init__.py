"""The benchmark: this project beside others, on the same simulated account (`make bench`)."""
