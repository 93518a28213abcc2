"""What happens in a generated video: sales, presentations and the transcript."""
