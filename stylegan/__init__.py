"""StyleGAN networks in torch, with export to ncnn. Arrows point down:

    convert, inspect, project, train, export, dataset, faces, metrics    commands: python -m stylegan.NAME
    training, metrics, projector                                         what is done with networks
    bundle                                                               networks and seeds as files for ncnn
    checkpoints                                                          networks from files of any kind
    networks                                                             torch modules with export_ncnn()

`v2ada` and `v3` are the two generations of `networks` under the names that others import. Packages and commands import
without torch; a module that computes with it raises `TorchMissing` with one sentence where torch is not installed.
"""
