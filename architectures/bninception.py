"""Inception with BatchNorm: Ioffe & Szegedy, ICML 2015, https://arxiv.org/abs/1502.03167."""

from typing import Any

from pretrainedmodels.models.bninception import BNInception
from torch import Tensor, nn

from architectures.embedder import BatchNorm, Embedder
from architectures.head import Head
from architectures.input_normalization import InputNormalization
from architectures.pooling import Pooling
from architectures.pretrained import load_pretrained
from core.ranges import Size

BLOCKS = (  # after the first convolution, in the names of their layers
    *("conv2", "inception_3a", "inception_3b", "inception_3c", "inception_4a", "inception_4b"),
    *("inception_4c", "inception_4d", "inception_4e", "inception_5a", "inception_5b"),
)
WEIGHTS = "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"


def bninception(
    embedding_dim: Size | None = 128,
    pooling: Pooling = "avg",
    normalize: bool = True,
    batchnorm: BatchNorm = "frozen",
    pretrained: bool = True,
    head: Head = "linear",
) -> Embedder:
    """BN-Inception: the network of pretrainedmodels, ported from Caffe, with an embedding head.

    Its input is BGR in 0..255 minus the mean, without a scale.
    """
    network = BNInception()  # type: ignore[no-untyped-call]
    if pretrained:
        # the file is older than PyTorch 0.4 and stores the vectors of BatchNorm as (1, C)
        weights = load_pretrained(WEIGHTS).items()
        network.load_state_dict({n: w.squeeze(0) if "_bn." in n else w for n, w in weights})
    del network.global_pool, network.last_linear
    return Embedder(
        FeatureMaps(network),
        num_features=1024,
        normalization=InputNormalization(mean=(104, 117, 128), std=(1, 1, 1), bgr=True),
        embedding_dim=embedding_dim,
        pooling=pooling,
        normalize=normalize,
        batchnorm=batchnorm,
        head=head,
    )


class FeatureMaps(nn.Module):
    """Feature maps: the network up to its last feature map."""

    def __init__(self, network: BNInception) -> None:
        super().__init__()
        self.network = network

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """Layers of the network by the names of their parameters, in the form of timm."""
        blocks = [(rf"network\.{name}_", (number,)) for number, name in enumerate(BLOCKS)]
        return {"stem": r"network\.conv1_", "blocks": blocks}

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.features(images)  # type: ignore[no-untyped-call]
        return maps
