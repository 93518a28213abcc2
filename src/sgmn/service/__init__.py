"""The HTTP service: catalogues, streams and events of many shops behind one API."""
