"""Downloads of feeds and images: bounded in time and size, cached, and safe by address."""
