"""Live: windows of a stream, decoded over time into segments."""
