"""Trains models on what the factory made."""
