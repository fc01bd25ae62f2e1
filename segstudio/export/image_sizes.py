"""The size of an image that nobody has drawn on: a prediction's, else its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ml_backend.errors import TaskError
from ml_backend.images import ImageSource, TaskAccess
from ml_backend.labelstudio.annotations import AnnotationReader
from segstudio.export.mask_regions import Size, common_size
from segstudio.export.pictures import PictureFile
from segstudio.export.rows import Entry


@dataclass
class SizeFinder:
    """Finds sizes of images, one at a time.

    Attributes:
        reader: Reads predictions.
        open_source: Opens the loader of images, when the first one is needed.
    """

    reader: AnnotationReader
    open_source: Callable[[], ImageSource] = field(repr=False)

    def __call__(self, entry: Entry, picture: PictureFile) -> Size | None:
        """Return height and width of an image; None where neither tells them.

        Raises:
            LabelStudioError: It does not list the task's predictions.
        """
        shown = [p for p in entry.task.pictures if p.reference == picture.reference]
        places = {(each.tag, each.item) for each in shown}
        regions = self.reader.predicted_regions(entry.task)
        size = common_size(r for r in regions if (r.to_name, r.item) in places)
        return size or self._image_size(picture.reference, TaskAccess(entry.task.id))

    @cached_property
    def _source(self) -> ImageSource:
        return self.open_source()

    def _image_size(self, reference: str, access: TaskAccess) -> Size | None:
        try:
            image = self._source.open(reference, access=access)
            height, width = image.reduced_from() or image.decode().shape[:2]
        except TaskError:
            return None
        return height, width
