"""StyleGAN networks in torch, with export to ncnn.

`configs`, `seeds`, `download`, `errors` and `export` import without torch. Every other module here raises
`TorchMissing` with one sentence where torch is not installed.
"""
