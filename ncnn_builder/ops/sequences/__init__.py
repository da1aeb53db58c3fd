"""Rows in their order: recurrent layers, attention, embeddings."""
