"""What the commands of the terminal do: one module for those that run, one for each other."""
