"""MAML and MAML++ of MetaNN 0.3, and its other names where it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from typing_extensions import override

from metann.compat.metann.learners import GDLearner as GDLearner
from metann.compat.metann.learners import Learner as Learner
from metann.compat.metann.learners import RMSPropLearner as RMSPropLearner
from metann.compat.metann.learners import SequentialGDLearner as SequentialGDLearner
from metann.compat.metann.learners import (
    default_evaluator_classification as default_evaluator_classification,
)
from metann.compat.metann.multi_model import Evaluator
from metann.compat.metann.multi_model import MultiModel as MultiModel
from metann.compat.metann.multi_model import mamlpp_evaluator as mamlpp_evaluator
from metann.module import DependentModule
from metann.typed import Called


class MAML(nn.Module):
    """Adapts a model by gradient steps that can be differentiated.

    Args:
        model: any module.
        steps_train: steps in train mode.
        steps_eval: steps in eval mode; MetaNN 0.3 takes `steps_train` there as well.
        lr: the step size.
        evaluator: `(model, data) -> loss`.
        first_order: take the gradients in the loop for constants.

    Source: the class of this name in MetaNN 0.3; `metann.MAML` does more.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: float | Tensor,
        evaluator: Evaluator[Any] = default_evaluator_classification,
        first_order: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.steps_train = steps_train
        self.steps_eval = steps_eval
        self.lr: float | Tensor = lr
        self.evaluator: Evaluator[Any] = evaluator
        self.first_order = first_order

    if TYPE_CHECKING:
        __call__: Called  # pyright: ignore[reportIncompatibleMethodOverride]

    def learner(self) -> GDLearner:
        """Takes the steps."""
        steps = self.steps_train if self.training else self.steps_eval
        return GDLearner(steps, self.lr, not self.first_order, self.evaluator)

    @override
    def forward(self, data: Any) -> DependentModule:
        """The model adapted to data, in train mode; `model` is not touched."""
        adapted: DependentModule = self.learner()(self.model, data)
        return adapted


class MAMLpp(MAML):
    """MAML that, in train mode, gives the models after all steps, for `mamlpp_evaluator`.

    Args:
        model: as in `MAML`, like all that follow.
        steps_train: as there.
        steps_eval: as there.
        lr: as there.
        evaluator: as there.
        first_order: as there.

    Source: the class of this name in MetaNN 0.3; `metann.meta.MAMLPlusPlus` is all of the paper.
    """

    @override
    def forward(self, data: Any) -> Any:
        """In train mode a `MultiModel`; in eval mode the adapted model."""
        return self.learner()(self.model, data, mimo=self.training)
