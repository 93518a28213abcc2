"""A small ray-traced renderer: meshes, shapes, lighting and the camera."""
