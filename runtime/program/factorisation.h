// Directions of the styles by closed-form factorisation (SeFa: Shen and Zhou, CVPR 2021), as
// runtime/factorisation.py finds them: the eigenvectors of A^T A, where A holds the weights by which the
// layers read their style, each output's to length one.
#pragma once

#include "generator.h"

#include <vector>

namespace stylegan
{

// The first directions of these styles' layers, each [w_dim] of length one with its largest component
// positive, the strongest first: 16, or w_dim of them. Raises a Fault (input) where no blob of the net has
// the name of an affine layer's, none of them reads these styles, or w_dim is larger than 2048.
std::vector<std::vector<float>> directions(const Generator& generator, const std::vector<int>& styles,
                                           int w_dim);

// The eigenvectors of a symmetric matrix [n, n], given row by row, those of the largest eigenvalues first; at
// most `most` of them.
std::vector<std::vector<double>> eigenvectors(std::vector<double> matrix, int n, int most);

} // namespace stylegan
