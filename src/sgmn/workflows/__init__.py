"""What the command line and the public API share: whole tasks that use several packages."""
