"""Video, pictures and transcripts: files and streams to frames and words."""
