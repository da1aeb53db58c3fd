"""What StyleGAN's networks are made of: composite ops, and the layers that targets make of them."""
