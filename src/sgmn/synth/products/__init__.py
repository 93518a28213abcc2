"""The products of a generated shop: names, labels, colors, 3-D shapes and listing photos."""
