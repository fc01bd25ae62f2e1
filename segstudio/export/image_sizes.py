"""Size of images without regions: from a prediction, else from the image."""

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
    """Finder of image sizes, one image at a time.

    Attributes:
        reader: Reader of predictions.
        open_source: Opens the image loader when the first image is needed.
    """

    reader: AnnotationReader
    open_source: Callable[[], ImageSource] = field(repr=False)

    def __call__(self, entry: Entry, picture: PictureFile) -> Size | None:
        """Return height and width of an image; None if neither prediction nor image has them.

        Raises:
            LabelStudioError: The predictions of the task cannot be read.
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
