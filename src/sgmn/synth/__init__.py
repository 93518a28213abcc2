"""A generated world of live commerce: shops with near-twin products, clips and livestreams.

Every frame of a generated video is annotated exactly.
"""
