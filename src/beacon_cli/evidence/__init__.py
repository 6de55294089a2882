"""What the answers of a run are evidence for: how each reads, how they differ, and whether that means anything. Pure."""
