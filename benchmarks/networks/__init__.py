"""Networks of diffusers, transformers and timm, as a user converts them."""
