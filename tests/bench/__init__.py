"""The benchmark: this project and other tools on the same simulated account (`make bench`)."""
