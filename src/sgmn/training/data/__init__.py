"""Training examples: loading, composing, degrading and ordering them into batches."""
