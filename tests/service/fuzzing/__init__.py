"""Generated requests against the application in this process; see `tools/service_fuzz.py`."""
