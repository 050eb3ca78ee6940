"""What every network returns. Attention is a return value, so it comes from the pass that made the prediction."""

from typing import NamedTuple

from torch import Tensor


class NetworkOutput(NamedTuple):
    """One forward pass.

    logits:         (batch, class)
    probabilities:  (batch, class)
    attention:      the weights of every block by the name of their output, each (batch, …)
    contributions:  (batch, class, position…); over the positions they add up to logits - bias
    bias:           (batch, class)
    """

    logits: Tensor
    probabilities: Tensor
    attention: dict[str, Tensor]
    contributions: Tensor
    bias: Tensor
