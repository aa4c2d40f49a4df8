"""Any loss with a penalty on the embeddings."""

from torch import Tensor, nn

from core.batch_checks import check_inputs
from core.parameter_groups import Groups, collect_parameter_groups
from core.regularizer import Regularizer
from core.types import Embeddings, Labels, ReferenceLabels, References, Scalar, Tuples


class Regularized(nn.Module):
    """Regularized loss: adds a penalty on the embeddings to any loss.

        loss(embeddings, labels) + regularizer(embeddings)

    It takes no `distance`: those of `objective` and `regularizer` count.

    Differences:
        pytorch-metric-learning: the argument `embedding_regularizer` of every loss.

    Args:
        objective: any loss.
        regularizer: of the embeddings as the backbone gives them; carries its own weight.
    """

    def __init__(self, objective: nn.Module, regularizer: Regularizer) -> None:
        super().__init__()
        self.objective, self.regularizer = objective, regularizer

    def parameter_groups(self) -> Groups:
        return collect_parameter_groups(self.objective)

    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        tuples: Tuples | None = None,
        **references: References | ReferenceLabels | None,
    ) -> Scalar:
        check_inputs(embeddings, labels)
        value: Tensor = self.objective(embeddings, labels, tuples, **references)
        return value + self.regularizer(embeddings)
