"""Fuzzing: damaged input must end in the errors that each loader documents, and in no others."""
