"""Torch's layers become counterparts where they are used, and stay where they are asked about."""

from __future__ import annotations

import pytest
from before_after import assert_rewrites, assert_stays, rewritten


@pytest.mark.parametrize(
    ("imports", "layer", "left"),
    [
        ("import torch", "torch.nn.Linear", ""),
        ("import torch.nn", "torch.nn.Linear", ""),
        ("import torch.nn as nn", "nn.Linear", ""),
        ("import torch.nn as N", "N.Linear", ""),
        ("import torch as t", "t.nn.Linear", ""),
        ("from torch import nn", "nn.Linear", ""),
        ("from torch import nn as N", "N.modules.Linear", ""),
        ("from torch.nn import Linear", "Linear", ""),
        ("from torch.nn import Linear as L", "L", ""),
        ("import torch\nnn = torch.nn", "nn.Linear", "import torch\nnn = torch.nn\n"),
        ("from torch.nn import modules", "modules.linear.Linear", ""),
        ("from torch.nn.modules.linear import Linear", "Linear", ""),
        ("from torch.nn import *", "Linear", "from torch.nn import *\n"),
        (
            "from torch.nn.modules.linear import *",
            "Linear",
            "from torch.nn.modules.linear import *\n",
        ),
    ],
)
def test_however_a_layer_is_spelled(imports: str, layer: str, left: str) -> None:
    found = rewritten(f"{imports}\nnet = {layer}(3, 4)\n").text

    assert "\nnet = DependentLinear(3, 4)\n" in found
    new = "from metann.generated import DependentLinear\n"
    assert found.replace(new, "", 1) == f"{left}net = DependentLinear(3, 4)\n"


VALUES = """
    from collections import OrderedDict
    from functools import partial

    import torch
    from torch import nn

    KINDS = {"relu": nn.ReLU, nn.Linear: nn.init.normal_, "f": nn.functional.relu}

    def conv(n, norm_layer=nn.BatchNorm2d, act=None, **kwargs):
        act = act or nn.ReLU if n else nn.Identity
        norm = partial(nn.LayerNorm, eps=1e-6)
        kind = [nn.Conv1d, nn.Conv2d, nn.Conv3d][n]
        named = OrderedDict([("a", nn.Linear(n, n)), ("b", (nn.GELU)())])
        table = nn.Embedding.from_pretrained(torch.ones(3, 3))
        scale = nn.Parameter(torch.ones(n))
        nn.utils.clip_grad_norm_(nn.Linear.parameters(table), 1.0)
        INIT = KINDS[nn.Linear]
        return nn.Sequential(*[nn.Dropout(p) for p in (0.1, 0.2)], act())
    """

DEPENDENT_VALUES = """
    from collections import OrderedDict
    from functools import partial

    import torch
    from metann.generated import (
        DependentBatchNorm2d,
        DependentConv1d,
        DependentConv2d,
        DependentConv3d,
        DependentDropout,
        DependentEmbedding,
        DependentGELU,
        DependentIdentity,
        DependentLayerNorm,
        DependentLinear,
        DependentReLU,
        DependentSequential,
    )
    from torch import nn

    KINDS = {"relu": DependentReLU, DependentLinear: nn.init.normal_, "f": nn.functional.relu}

    def conv(n, norm_layer=DependentBatchNorm2d, act=None, **kwargs):
        act = act or DependentReLU if n else DependentIdentity
        norm = partial(DependentLayerNorm, eps=1e-6)
        kind = [DependentConv1d, DependentConv2d, DependentConv3d][n]
        named = OrderedDict([("a", DependentLinear(n, n)), ("b", (DependentGELU)())])
        table = DependentEmbedding.from_pretrained(torch.ones(3, 3))
        scale = nn.Parameter(torch.ones(n))
        nn.utils.clip_grad_norm_(DependentLinear.parameters(table), 1.0)
        INIT = KINDS[DependentLinear]
        return DependentSequential(*[DependentDropout(p) for p in (0.1, 0.2)], act())
    """


def test_layers_as_values() -> None:
    assert_rewrites(
        VALUES,
        DEPENDENT_VALUES,
    )


def test_what_only_asks_about_a_class_keeps_torchs() -> None:
    """A counterpart is a layer of torch's class; a plain layer of another file is, too."""
    assert_stays("""
        import typing as t
        from typing import Callable, Optional, TypeVar, Union, cast

        import torch
        from torch import nn

        L = TypeVar("L", bound=nn.Linear)
        Conv = Union[nn.Conv1d, nn.Conv2d]
        Either = nn.Linear | nn.Conv2d
        Alias: t.TypeAlias = nn.Linear
        Make = Callable[[int], nn.Module]
        NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
        DROPOUT = nn.Dropout

        def f(m: nn.Linear, *ms: "nn.Conv2d", kind: type[nn.Module] = None) -> t.List[nn.Linear]:
            if isinstance(m, nn.Linear) or isinstance(m, (nn.Conv1d, nn.Conv2d | nn.Conv3d)):
                x: nn.Linear = cast(nn.Linear, m)
                nn.init.ones_(t.cast("nn.Linear", x).weight)
            for norm in ms:
                assert isinstance(norm, NORMS) and not issubclass(type(norm), DROPOUT)
                ok = any(isinstance(norm, kind) for kind in (nn.GELU, nn.ReLU))
                for act in nn.ReLU6, nn.SELU:
                    assert not isinstance(norm, act)
                y: Optional[list[nn.Conv2d]] = None
            nn.Linear.reset_parameters = lambda self: None
            del nn.Linear.reset_parameters
            match m:
                case nn.Linear(in_features=3) | nn.Conv2d(): pass
            return m
        """)


def test_a_constant_that_is_also_used_is_rewritten() -> None:
    assert_rewrites(
        """
        from torch import nn

        NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
        ok = isinstance(3, NORMS)
        made = [kind(3) for kind in NORMS]
        """,
        """
        from metann.generated import DependentBatchNorm1d, DependentBatchNorm2d

        NORMS = (DependentBatchNorm1d, DependentBatchNorm2d)
        ok = isinstance(3, NORMS)
        made = [kind(3) for kind in NORMS]
        """,
    )


def test_the_exact_class_of_a_layer_is_its_counterpart() -> None:
    assert_rewrites(
        """
        from torch import nn

        def f(m):
            assert type(m) is nn.Linear or type(m) == nn.Conv2d
            assert type(m) is not nn.Module
            return m.__class__ in (nn.ReLU, nn.GELU)
        """,
        """
        from metann import DependentModule
        from metann.generated import (
            DependentConv2d,
            DependentGELU,
            DependentLinear,
            DependentReLU,
        )

        def f(m):
            assert type(m) is DependentLinear or type(m) == DependentConv2d
            assert type(m) is not DependentModule
            return m.__class__ in (DependentReLU, DependentGELU)
        """,
    )


def test_torchs_module_becomes_ours_where_it_is_made_or_called_as_a_base() -> None:
    assert_rewrites(
        """
        from torch import nn

        class Net(nn.Module):
            def __init__(self, child: nn.Module):
                nn.Module.__init__(self)
                self.box = nn.Module()
                assert isinstance(child, nn.Module)

            def train(self, mode=True):
                return nn.Module.train(self, mode)

        def f(m):
            return nn.Module.train(m)
        """,
        """
        from metann import DependentModule
        from torch import nn

        class DependentNet(DependentModule):
            def __init__(self, child: nn.Module):
                DependentModule.__init__(self)
                self.box = DependentModule()
                assert isinstance(child, nn.Module)

            def train(self, mode=True):
                return DependentModule.train(self, mode)

        def f(m):
            return nn.Module.train(m)
        """,
    )


def test_what_is_no_layer_or_has_no_counterpart_stays() -> None:
    assert_stays("""
        import torch
        from torch import nn
        from torch.nn import functional as F, init

        def f(net, name):
            init.ones_(net.weight)
            nn.utils.weight_norm(net)
            torch.nn.utils.rnn.pad_sequence([net])
            buffer = nn.Buffer(torch.ones(3))
            net = nn.DataParallel(net)
            net = nn.parallel.DistributedDataParallel(net)
            return getattr(nn, name)(), vars(torch.nn), nn.Parameter(F.relu(net.weight))
        """)


def test_a_name_that_may_be_something_else_stays() -> None:
    assert_stays("""
        try:
            from torch.nn import RMSNorm
        except ImportError:
            from other import RMSNorm

        try:
            from torch.nn import Mish
        except ImportError:
            Mish = None

        norm, act = RMSNorm(3), Mish()
        """)


def test_imports_inside_functions() -> None:
    assert_rewrites(
        """
        def f():
            from torch import nn
            from torch.nn import Linear
            return nn.ReLU(), Linear(3, 4)

        def g():
            from torch.nn import Linear
            def h(): return Linear(3, 4)
            return h()

        def Linear(a, b): return a
        x = Linear(3, 4)
        """,
        """
        from metann.generated import DependentLinear, DependentReLU

        def f():
            return DependentReLU(), DependentLinear(3, 4)

        def g():
            def h(): return DependentLinear(3, 4)
            return h()

        def Linear(a, b): return a
        x = Linear(3, 4)
        """,
    )


def test_torch_may_not_be_installed() -> None:
    assert_rewrites(
        """
        try:
            import torch
            from torch import nn
        except ImportError:
            torch = nn = None

        net = nn.Linear(3, 4), torch.nn.Conv2d, nn is None
        """,
        """
        from metann.generated import DependentConv2d, DependentLinear

        try:
            import torch
            from torch import nn
        except ImportError:
            torch = nn = None

        net = DependentLinear(3, 4), DependentConv2d, nn is None
        """,
    )
