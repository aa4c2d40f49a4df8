"""Weights check: the weights that a run freezes or takes from another run, before it reads data."""

from omegaconf import DictConfig

from engine.config.errors import ConfigurationError


def check_weights(config: DictConfig, resumed: bool) -> None:
    """Check that the backbone has the weights that the run freezes or begins with.

    Args:
        resumed: whether the run has a checkpoint, which it loads in place of initial weights.

    Raises:
        ConfigurationError: it has not, or a key has no effect.
    """
    init_from, patterns = config.get("init_from"), config.trainer.freeze
    if not (init_from or config.get("init_head", True)):
        raise ConfigurationError("init_head=false: concerns the weights of init_from=<run folder>")
    if patterns and config.trainer.features == "frozen":
        raise ConfigurationError(
            f"trainer.freeze=[{','.join(patterns)}]: trainer.features=frozen freezes all but the "
            "head already"
        )
    if not patterns and (resumed or not init_from):
        return
    # import torch._dynamo, which takes a second; most runs need none of them here
    from engine.build import backbone_of
    from engine.freezing import freeze_matching
    from engine.initial_weights import check_initial_weights, read_initial_weights

    backbone = backbone_of(config, pretrained=False)
    freeze_matching(backbone, patterns)
    if init_from and not resumed:
        check_initial_weights(config, backbone, read_initial_weights(init_from))
