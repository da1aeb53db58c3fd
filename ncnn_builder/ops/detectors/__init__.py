"""The ends of detecting networks: boxes, anchors, regions."""
