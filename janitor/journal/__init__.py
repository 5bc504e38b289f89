"""The record of changes, and the undo."""
