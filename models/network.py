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

    def named(self) -> dict[str, Tensor]:
        """Every tensor by the name of its output, in the graph's order."""
        scores = {"probabilities": self.probabilities, "logits": self.logits}
        return {**scores, **self.attention, "contributions": self.contributions, "bias": self.bias}
