"""Videos, images, audio and transcripts: reads files and streams."""
