"""Pictures of many seeds, in shards that are there whole or not at all."""
