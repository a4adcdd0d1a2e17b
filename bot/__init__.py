"""The service: receives, stores, applies, delivers."""
