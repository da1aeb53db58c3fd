"""The networks of StyleGAN2-ADA and StyleGAN3: forward() in torch, export_ncnn() beside it, configurations.

Nothing here knows where weights come from, or what becomes of an exported graph.
"""
