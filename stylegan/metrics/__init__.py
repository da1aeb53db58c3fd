"""How near the pictures of a generator are to those of a data set: FID, KID, precision and recall.

`python -m stylegan.metrics --ckpt cats.pkl --data cats.zip --metrics fid,kid,pr` is the command line,
`stylegan.metrics.evaluate.evaluate()` the function.
"""
