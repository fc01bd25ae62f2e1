"""What stronger models cost, said where the embedded ones serve."""

from ml_backend.models.checkpoints import SAM2_WEIGHTS, SEGMENTATION_WEIGHTS, Checkpoint
from segstudio.labelstudio.ml_backends import BackendError, BackendPair, BasicAuth, ask_version


def upgrade_line(pair: BackendPair) -> str:
    """Name the lightest larger model for each backend that an embedded one serves.

    Returns:
        One line with setting, megabytes and licence; empty where there is nothing to say.
    """
    larger = ((pair.segmentation, SEGMENTATION_WEIGHTS), (pair.sam, SAM2_WEIGHTS))
    offers = [
        _offer(min(weights, key=lambda each: each.size))
        for url, weights in larger
        if _is_embedded(url, pair.login)
    ]
    return f"Larger models: {'; '.join(offers)}; segstudio models list" if offers else ""


def _is_embedded(url: str, login: BasicAuth) -> bool:
    try:
        return "embedded" in ask_version(url, login)
    except BackendError:
        return False


def _offer(model: Checkpoint) -> str:
    return f"{model.setting}={model.name} ({model.size / 1e6:.0f} MB, {model.licence})"
