"""Training: the discriminator, the loss, augmentation and the loop of `python -m stylegan.train`."""
