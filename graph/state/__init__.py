"""State of the graph: its channels, the evidence they carry, what a caller may choose, and the history."""
