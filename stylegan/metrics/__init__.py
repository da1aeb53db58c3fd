"""How good the pictures of a generator are: FID, KID, precision and recall, inception score, path length, equivariance.

`python -m stylegan.metrics --ckpt cats.pkl --data cats.zip --metrics fid,kid,pr` is the command line,
`stylegan.metrics.evaluate.evaluate()` the function; with `--engine ncnn --model faces` it is a bundle that is measured.
"""
