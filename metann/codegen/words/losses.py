"""Losses; what they reduce is averaged, summed, or left as it is: see `reduction`."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_EACH = "(*), (*) -> (), or (*) with reduction='none'"
_PAIRS = "(N, D), (N, D), (N) -> (), or (N) with reduction='none'"
_TRIPLETS = "(N, D), (N, D), (N, D) -> (), or (N) with reduction='none'"
_CLASSES = "(N, C), (N, C) -> (), or (N) with reduction='none'; or without N"
_CLASS = "(N, C), (N) -> (), or (N) with reduction='none'; or without N"
_IMAGES = "(N, C, *), (N, *) -> (), or (N, *) with reduction='none'; or without N"

WORDS = {
    "torch.nn.L1Loss": Words("`abs(input - target)`, averaged or summed.", shape=_EACH),
    "torch.nn.MSELoss": Words("`(input - target)**2`, averaged or summed.", shape=_EACH),
    "torch.nn.SmoothL1Loss": Words(
        "`d**2 / (2 * beta) if d < beta else d - beta / 2`, averaged or summed.",
        "Where d is `abs(input - target)`.",
        _EACH,
    ),
    "torch.nn.HuberLoss": Words(
        "`d**2 / 2 if d < delta else delta * (d - delta / 2)`, averaged or summed.",
        "Where d is `abs(input - target)`.",
        _EACH,
    ),
    "torch.nn.NLLLoss": Words(
        "`-weight[target] * input[target]`: input holds the log-probability of each class.",
        "Averaged (by weight) or summed; targets that are ignore_index are left out.",
        _IMAGES,
    ),
    "torch.nn.NLLLoss2d": Words(
        "NLLLoss, by the name it once had for images; torch has deprecated it.", shape=_IMAGES
    ),
    "torch.nn.CrossEntropyLoss": Words(
        "`log(sum(exp(input))) - input[target]` of each example, averaged or summed.",
        "Each class may have a weight. A target may be a probability for each class, too.",
    ),
    "torch.nn.LinearCrossEntropyLoss": Words(
        "CrossEntropyLoss of `linear(input)`, if need be in chunks, to save memory."
    ),
    "torch.nn.PoissonNLLLoss": Words(
        "`exp(input) - target * input`, averaged or summed: for counts.",
        "With log_input=False: `input - target * log(input + eps)`. With full=True, what does not\n"
        "depend on the input is added.",
        _EACH,
    ),
    "torch.nn.GaussianNLLLoss": Words(
        "`(log(var) + (input - target)**2 / var) / 2`, averaged or summed.",
        "A var below eps counts as eps. With full=True, `log(2 * pi) / 2` is added.",
    ),
    "torch.nn.KLDivLoss": Words(
        "`target * (log(target) - input)`, averaged or summed; input is a logarithm.",
        "With log_target=True: `exp(target) * (target - input)`.",
        _EACH,
    ),
    "torch.nn.BCELoss": Words(
        "`-target * log(input) - (1 - target) * log(1 - input)`, averaged or summed.",
        "Logarithms are -100 at least.",
        _EACH,
    ),
    "torch.nn.BCEWithLogitsLoss": Words(
        "`log(1 + exp(input)) - target * input`: BCELoss of the sigmoid, made stable.",
        "Averaged or summed. Where target is 1, pos_weight says how much it counts.",
        _EACH,
    ),
    "torch.nn.HingeEmbeddingLoss": Words(
        "`input if target == 1 else max(0, margin - input)`, averaged or summed.", shape=_EACH
    ),
    "torch.nn.SoftMarginLoss": Words(
        "`log(1 + exp(-target * input))`, averaged or summed; targets are 1 or -1.", shape=_EACH
    ),
    "torch.nn.MultiLabelMarginLoss": Words(
        "`max(0, 1 - input[j] + input[i]) / C`, summed over target classes j and others i.",
        "Averaged or summed. A target is a list of classes, ended by -1.",
        _CLASSES,
    ),
    "torch.nn.MultiLabelSoftMarginLoss": Words(
        "BCEWithLogitsLoss averaged over the classes, then averaged or summed.", shape=_CLASSES
    ),
    "torch.nn.MultiMarginLoss": Words(
        "`max(0, margin - input[target] + input[i])**p / C`, summed over other classes i.",
        "Averaged or summed. Each class may have a weight.",
        _CLASS,
    ),
    "torch.nn.CosineEmbeddingLoss": Words(
        "`1 - cos if target == 1 else max(0, cos - margin)`, averaged or summed.",
        "Where cos is the cosine of the angle between input1 and input2.",
        f"{_PAIRS}; or without N",
    ),
    "torch.nn.MarginRankingLoss": Words(
        "`max(0, margin - target * (input1 - input2))`, averaged or summed.",
        "A target is 1 where input1 should be larger, -1 where input2 should.",
        "(*), (*), (*) -> (), or (*) with reduction='none'",
    ),
    "torch.nn.TripletMarginLoss": Words(
        "`max(0, d(anchor, positive) - d(anchor, negative) + margin)`, averaged or summed.",
        "Where d is PairwiseDistance(p, eps). With swap=True, d(positive, negative) counts,\n"
        "instead of d(anchor, negative) where it is less.",
        f"{_TRIPLETS}; or without N",
    ),
    "torch.nn.TripletMarginWithDistanceLoss": Words(
        "`max(0, d(anchor, positive) - d(anchor, negative) + margin)`, averaged or summed.",
        "Where d is distance_function. With swap=True, d(positive, negative) counts instead of\n"
        "d(anchor, negative) where it is less.",
    ),
    "torch.nn.CTCLoss": Words(
        "Minus the log-probability of target, however it is spread over the steps.",
        "Averaged, after division by the length of each target, or summed. The class blank is no\n"
        "part of a target; equal classes side by side count once.",
        "(T, N, C), (N, S), (N), (N) -> (), or (N) with reduction='none'; or without N",
    ),
    "torch.nn.AdaptiveLogSoftmaxWithLoss": Words(
        "The log-probability of each target and the loss, with rare classes in clusters.",
        "Classes below cutoffs[0] stand in the head, the others in clusters, each with a layer of\n"
        "the tail, narrower by div_value from one to the next.",
        "(N, in_features), (N) -> (N), (), or without N",
        holds="its submodules head, tail",
    ),
}
