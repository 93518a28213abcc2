"""Long jobs, such as imports: a queue in the database and the process that works on it."""
