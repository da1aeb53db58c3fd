"""Numbers of few bits: what they cost, layer by layer, where an error comes from, and which layers can bear them."""
