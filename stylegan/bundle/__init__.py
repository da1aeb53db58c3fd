"""What an export writes: NAME_mapping.param/.bin, NAME_synthesis.param/.bin, the manifest NAME.json, and seed files."""
