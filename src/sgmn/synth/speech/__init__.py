"""Speech of generated videos: a synthetic voice over music and noise (extra `synth-speech`)."""
