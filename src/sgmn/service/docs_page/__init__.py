"""The reference of the API as one HTML page, made from its OpenAPI document."""
