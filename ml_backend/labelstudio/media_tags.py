"""Video and audio tags of a label config; ``label_config`` reads image tags."""

from ml_backend.labelstudio.controls import ImageTag
from ml_backend.labelstudio.label_config_xml import parse_xml

MEDIA_TAGS = ("Video", "Audio", "AudioPlus")


def media_tags(label_config: str) -> tuple[ImageTag, ...]:
    """Return the video and audio tags of a label config, in document order.

    Raises:
        LabelConfigError: The text is not XML, declares entities, or is too long or too deep.
    """
    return tuple(
        ImageTag(tag.get("name", ""), value.removeprefix("$"))
        for tag in parse_xml(label_config).iter()
        if tag.tag in MEDIA_TAGS and tag.get("name") and (value := tag.get("value", ""))
    )
