"""Where the service keeps its state: SQLite by default, PostgreSQL by its address."""
