"""What the program reads, damaged at random: it may end in the program's own errors only."""
