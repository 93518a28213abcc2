"""A generated live-commerce world: shops of near-twins and livestreams with truth to the frame."""
