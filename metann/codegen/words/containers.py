"""Containers, and what torch.nn.utils.parametrize puts into a tree."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_MODULES = "the modules in it"

WORDS = {
    "torch.nn.Container": Words(
        "Holds the modules that it is given by name; it has no forward.", holds=_MODULES
    ),
    "torch.nn.Sequential": Words(
        "Calls its modules in turn, each with what the one before it returned.", holds=_MODULES
    ),
    "torch.nn.ModuleList": Words("A list of modules; it has no forward.", holds=_MODULES),
    "torch.nn.ModuleDict": Words("A dict of modules; it has no forward.", holds=_MODULES),
    "torch.nn.ParameterList": Words(
        "A list of parameters or other tensors; it has no forward.",
        dependents={'"0", "1", ...': "one for each parameter in it, named by its index"},
    ),
    "torch.nn.ParameterDict": Words(
        "A dict of parameters or other tensors; it has no forward.",
        dependents={"[key]": "one for each parameter in it, named by its key"},
    ),
    "torch.nn.utils.parametrize.ParametrizationList": Words(
        "Computes a parametrized tensor: puts the original through each module in turn.",
        dependents={
            "original": "what the tensor is computed from; shape as the first module takes it",
            "original0, original1, ...": "those instead, if the first module takes several",
        },
        holds=_MODULES,
    ),
    "torch.nn.utils.parametrizations._Orthogonal": Words(
        "A matrix with orthonormal columns, or rows if it is wide, made of any matrix."
    ),
    "torch.nn.utils.parametrizations._WeightNorm": Words(
        "`weight_g * weight_v / norm(weight_v)`, with a norm for each index along dim."
    ),
    "torch.nn.utils.parametrizations._SpectralNorm": Words(
        "`weight / sigma`, where sigma is the largest singular value of weight, estimated.",
        "The estimate is one step better, or n_power_iterations steps, with each call in training.",
    ),
}
