"""Pictures, folders and videos through a restorer, a net from a picture to a larger or better one, in tiles."""
