"""Text for the labeler when a click finds nothing, if the label config has a place for it.

Label Studio shows no errors of a backend, but displays a ``textarea`` result at once.
"""

from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.schemas import StatusText

STATUS = "status"
"""Name of the TextArea, ``<TextArea name="status" toName="image" smart="false" …/>``."""


def status_text(label_config: LabelConfig, text: str) -> list[StatusText]:
    """Return the result that shows a text; an empty text clears it.

    Returns:
        Empty if the label config has no ``status``.
    """
    return [
        StatusText(
            from_name=each.name, to_name=each.to_name, value={"text": [text] if text else []}
        )
        for each in label_config.controls
        if each.name == STATUS and each.type == "textarea" and each.to_name in label_config.images
    ][:1]
