"""Within `no_second_derivative()`, a Sequential of image layers gives what torch's gives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules import module as torchs
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle

from metann import DependentModule
from metann.layers.images import no_second_derivative


@pytest.fixture(autouse=True)
def _no_global_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests, or torch itself, may have left some in this process."""
    found = [name for name in vars(torchs) if name.startswith("_global_") and "_hooks" in name]
    assert len(found) >= 6
    for name in found:
        monkeypatch.setattr(torchs, name, OrderedDict())
    assert not torchs._has_any_global_hook()


@pytest.fixture(autouse=True)
def _single_precision(_double_precision_on_one_thread: None) -> None:
    torch.set_default_dtype(torch.float32)


def block(inputs: int, outputs: int) -> nn.Sequential:
    """What is repeated in the nets of few-shot learning."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


def net(channels: int = 3) -> nn.Sequential:
    """Two blocks and a layer that takes no images."""
    return nn.Sequential(block(channels, 8), block(8, 8), nn.Flatten(), nn.Linear(8 * 16, 5))


def images(channels: int = 3) -> Tensor:
    """A large batch."""
    return torch.randn(16, channels, 16, 16)


def pair(module: nn.Module) -> tuple[nn.Module, DependentModule]:
    """torch's own module, and one that is converted."""
    return deepcopy(module), DependentModule(deepcopy(module))


def results(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, the gradients of input and weights, and the buffers after the call."""
    x = x.detach().requires_grad_()
    output = module(x)
    weights = torch.arange(1, output.numel() + 1).to(x.dtype).cos()
    weighted = (output * weights.view_as(output)).sum()
    inputs = [x, *module.parameters()]
    return [output, *torch.autograd.grad(weighted, inputs), *module.buffers()]


def formats(module: nn.Module, x: Tensor) -> list[bool]:
    """Whether the channels are last in what a ReLU is given."""
    return [seen.is_contiguous(memory_format=torch.channels_last) for seen in seen_by(module, x)]


def seen_by(module: nn.Module, x: Tensor) -> list[Tensor]:
    """What each ReLU is called with."""
    found: list[Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        original = nn.functional.relu

        def watched(input: Tensor, inplace: bool = False) -> Tensor:
            found.append(input)
            return original(input, inplace)

        patch.setattr(nn.functional, "relu", watched)
        module(x)
    return found


def assert_untouched(torchs: nn.Module, ours: nn.Module, x: Tensor) -> None:
    """Bit for bit, and in torch's own order and format."""
    expected = seen_by(deepcopy(torchs), x) + results(torchs, x)
    with no_second_derivative():
        found = seen_by(deepcopy(ours), x) + results(ours, x)
    assert all(map(torch.equal, found, expected))
    assert [each.stride() for each in found] == [each.stride() for each in expected]


def assert_rounds_alike(found: Iterable[Tensor], torchs: nn.Module, x: Tensor) -> None:
    """Not much further from the results in float64 than torch's own.

    With the channels last, torch's batch norm sums in an order that rounds more.
    """
    rounded = results(deepcopy(torchs), x)
    exact = results(deepcopy(torchs).double(), x.double())
    for one, other, each in zip(found, rounded, exact, strict=True):
        allowed = 4 * (other - each).abs().max() + 1e-5 * each.abs().max()
        assert (one - each).abs().max() <= allowed


NETS: dict[str, Callable[[], nn.Module]] = {
    "blocks": net,
    "images come out": lambda: nn.Sequential(block(3, 8), block(8, 8)),
    "one pixel comes out": lambda: nn.Sequential(block(3, 8), nn.MaxPool2d(8)),
    "another layer between": lambda: nn.Sequential(block(3, 8), nn.Dropout2d(0.0), block(8, 4)),
    "in place": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
    "pooled twice": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, padding=1), nn.MaxPool2d(3, ceil_mode=True)
    ),
    "groups": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.GroupNorm(2, 8), nn.GELU(), nn.AvgPool2d(2)
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_output_gradients_and_buffers_are_torchs_within_rounding(name: str) -> None:
    torchs, ours = pair(NETS[name]())
    x = images()

    with no_second_derivative():
        found = results(ours, x)

    assert_rounds_alike(found, torchs, x)
    assert found[0].is_contiguous()
    assert found[0].stride() == torchs(x).stride()


def test_an_image_of_one_channel() -> None:
    torchs, ours = pair(net(1))
    x = images(1)

    with no_second_derivative():
        assert_rounds_alike(results(ours, x), torchs, x)
        assert formats(ours, x) == [True, True]


def test_the_channels_are_last_and_pooling_comes_first() -> None:
    module = DependentModule(net())

    with no_second_derivative():
        seen = seen_by(module, images())
        assert formats(module, images()) == [True, True]

    assert [each.shape[-1] for each in seen] == [8, 4]


def test_outside_it_is_as_in_torch() -> None:
    torchs, ours = pair(net())
    x = images()

    expected = seen_by(deepcopy(torchs), x) + results(torchs, x)
    found = seen_by(deepcopy(ours), x) + results(ours, x)

    assert all(map(torch.equal, found, expected))
    assert [each.stride() for each in found] == [each.stride() for each in expected]


def test_pooling_first_is_the_same_bits() -> None:
    torchs, ours = pair(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))

    x = torch.randint(-3, 3, (16, 3, 16, 16)).float()
    with no_second_derivative():
        found = results(ours, x)
        assert [each.shape[-1] for each in seen_by(ours, x)] == [8]

    assert all(map(torch.equal, found, results(torchs, x)))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((16, 3, 16, 16), torch.float64),
        ((2, 3, 16, 16), torch.float32),
        ((3, 64, 64), torch.float32),
    ],
)
def test_what_is_small_or_not_a_batch_or_of_another_dtype(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2))

    assert_untouched(*pair(module.to(dtype)), torch.randn(shape, dtype=dtype))


def hooked_forward(module: nn.Module) -> None:
    module.register_forward_hook(lambda *_: None)


def hooked_before(module: nn.Module) -> None:
    module.register_forward_pre_hook(lambda *_: None)


def hooked_backward(module: nn.Module) -> None:
    module.register_full_backward_hook(lambda *_: None)


def own_forward(module: nn.Module) -> None:
    module.forward = module.forward


@pytest.mark.parametrize("child", "0123")
@pytest.mark.parametrize("change", [hooked_forward, hooked_before, hooked_backward, own_forward])
def test_a_hook_on_any_layer(change: Callable[[nn.Module], None], child: str) -> None:
    torchs, ours = pair(block(3, 8))
    for module in (torchs, ours):
        change(module.get_submodule(child))

    assert_untouched(torchs, ours, images())


@pytest.mark.parametrize("child", ["0", "0.2", "1.3", "3"])
def test_a_hook_deeper_in_or_beside_sees_what_torchs_does(child: str) -> None:
    torchs, ours = pair(net())
    seen: list[Tensor] = []
    for module in (torchs, ours):
        module.get_submodule(child).register_forward_hook(
            lambda _, args, out: seen.extend((*args, out))
        )
    x = images()

    torchs(x)
    with no_second_derivative():
        ours(x)

    half = len(seen) // 2
    torch.testing.assert_close(seen[half:], seen[:half], rtol=1e-4, atol=1e-4)
    assert [each.stride() for each in seen[half:]] == [each.stride() for each in seen[:half]]


HOOKS_ON_ALL: dict[str, Callable[[], RemovableHandle]] = {
    "forward": lambda: torchs.register_module_forward_hook(lambda *_: None),
    "with kwargs": lambda: torchs.register_module_forward_hook(lambda *_: None, with_kwargs=True),
    "pre": lambda: torchs.register_module_forward_pre_hook(lambda *_: None),
    "backward": lambda: torchs.register_module_full_backward_hook(lambda *_: None),
    "pre-backward": lambda: torchs.register_module_full_backward_pre_hook(lambda *_: None),
}


@pytest.mark.parametrize("register", HOOKS_ON_ALL.values(), ids=HOOKS_ON_ALL)
def test_with_a_hook_on_all_modules(register: Callable[[], RemovableHandle]) -> None:
    plain, ours = pair(net())
    handle = register()
    try:
        assert_untouched(plain, ours, images())
    finally:
        handle.remove()

    with no_second_derivative():
        assert formats(ours, images()) == [True, True], "when it is removed, as before"


class Doubled(nn.Sequential):
    """Does more than torch's."""

    def forward(self, input: Tensor) -> Tensor:
        for layer in self:
            input = layer(input)
        return 2 * input


class Strange(nn.ReLU):
    """Sees what it is given."""

    def forward(self, input: Tensor) -> Tensor:
        assert input.is_contiguous()
        return super().forward(input) + 1


def test_a_subclass_of_sequential_with_a_forward_of_its_own() -> None:
    assert_untouched(*pair(Doubled(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2))), images())


def test_a_subclass_within_and_a_subclass_of_a_layer() -> None:
    inner = Doubled(nn.BatchNorm2d(8), Strange(), nn.MaxPool2d(2))
    torchs, ours = pair(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), inner, Strange(), nn.ELU()))
    x = images()

    with no_second_derivative():
        found = results(ours, x)

    assert_rounds_alike(found, torchs, x)


def test_vmap_and_grad_of_torch_func() -> None:
    torchs, ours = pair(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)))
    x = images()

    def loss(module: nn.Module) -> Callable[[Tensor], Tensor]:
        return lambda x: module(x).square().sum()

    with no_second_derivative():
        found = torch.func.grad(loss(ours))(x), torch.vmap(ours)(x.unsqueeze(0))

    assert torch.equal(found[0], torch.func.grad(loss(torchs))(x))
    assert torch.equal(found[1], torch.vmap(torchs)(x.unsqueeze(0)))


def test_compiled() -> None:
    torchs, ours = pair(net())
    compiled = torch.compile(ours, backend="eager", fullgraph=True)
    x = images()

    with no_second_derivative():
        assert torch.equal(compiled(x), torchs(x))


def test_checkpointing_saves_the_same_in_the_same_order() -> None:
    torchs, ours = pair(block(3, 8).eval())
    x = images().requires_grad_()

    with no_second_derivative():
        loss = checkpoint(ours, x, use_reentrant=False).square().sum()
    found = torch.autograd.grad(loss, x)[0]

    assert torch.equal(found, torch.autograd.grad(torchs(x).square().sum(), x)[0])


def test_with_hooks_on_what_is_saved() -> None:
    with saved_tensors_hooks(lambda saved: saved, lambda saved: saved):
        assert_untouched(*pair(net()), images())


def second(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Of the squares of the first derivatives, for all weights."""
    weights = [*module.parameters()]
    first = torch.autograd.grad(module(x).square().mean(), weights, create_graph=True)
    return torch.autograd.grad(
        sum((each.square().sum() for each in first), x.new_zeros(())), weights
    )


def test_the_second_derivative_is_right_all_the_same() -> None:
    torchs, ours = pair(nn.Sequential(block(3, 8), block(8, 8)))
    x = images()

    with no_second_derivative():
        found = second(ours, x)

    torch.testing.assert_close(found, second(torchs, x), rtol=1e-3, atol=1e-3)
