"""Forms of torch's operations that have every derivative and a batching rule.

The functions here take the arguments of torch's functions of the same names and return the same
numbers. Outside of transforms they call torch's own kernel, whose second derivative `derivatives`
supplies; inside `torch.vmap` and forward-mode differentiation they use plain operations. Which
operation is replaced by which, and why, stands in `metann.replaced`.
"""

from metann.functional.attention import scaled_dot_product_attention

__all__ = ["scaled_dot_product_attention"]
