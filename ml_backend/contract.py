"""What Label Studio sends to an ML backend, and what it must get back.

Fields that nothing here reads (annotations, drafts, earlier predictions) are skipped by the JSON
parser without being built, so a body with tens of megabytes of old masks costs little.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class _Incoming(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Task(_Incoming):
    """One task; ``data`` maps the label config's variables to values, the image's among them."""

    id: int | str | None = None
    data: dict[str, Any] = {}


class PredictParams(_Incoming):
    """``context`` is null in batch mode; with the smart tools it holds the labeler's regions."""

    context: Any = None


class PredictRequest(_Incoming):
    """``POST /predict``."""

    tasks: list[Task]
    label_config: str
    params: PredictParams | None = None

    @property
    def context(self) -> Any:
        """The interactive context as sent; None in batch mode."""
        return self.params.context if self.params else None


class SetupRequest(_Incoming):
    """``POST /setup``; Label Studio calls the label config ``schema`` here."""

    label_config: str = Field(alias="schema")


class WebhookRequest(_Incoming):
    """``POST /webhook``: the action, with the event's objects beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    action: _Text = ""


class Region(BaseModel):
    """One region of a prediction, in Label Studio's own terms.

    ``value`` is that of the control's type; its percentages and run lengths are relative to
    ``original_width`` x ``original_height``, the image's size after EXIF orientation.
    """

    id: str
    from_name: str
    to_name: str
    type: str
    value: dict[str, Any]
    original_width: int
    original_height: int
    image_rotation: int = 0
    origin: Literal["prediction"] = "prediction"
    score: Annotated[float, Field(ge=0, le=1)]


class Prediction(BaseModel):
    """What one task gets. An empty ``result`` says "looked, found nothing"."""

    result: list[Region]
    score: Annotated[float, Field(ge=0, le=1)]
    model_version: str


class PredictResponse(BaseModel):
    """One entry per task, in order; an empty list says "no prediction, ask again"."""

    results: list[Prediction | Annotated[list[Any], Field(max_length=0)]]
    model_version: str
