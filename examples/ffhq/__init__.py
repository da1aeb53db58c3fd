"""Photographic faces of 1024 x 1024 on ncnn, of weights that the package random-face brings as OpenVINO's files."""
