"""Pictures in another size, and pixels from computed places."""
