"""What a run's answers are evidence for: how each reads, how they differ, whether that means anything. Pure."""
