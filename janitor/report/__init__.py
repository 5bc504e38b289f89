"""What is shown of a run: one module per format behind one interface (`base`)."""
