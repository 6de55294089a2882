"""What is shown of a run: live, as plain lines, as JSON lines, and in tables."""
