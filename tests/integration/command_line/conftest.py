"""The command line as its users have it, as in the unit tests."""

from tests.unit.segstudio.conftest import gcs as gcs
from tests.unit.segstudio.conftest import key as key
from tests.unit.segstudio.conftest import label_studio as label_studio
from tests.unit.segstudio.conftest import photos as photos
from tests.unit.segstudio.conftest import run as run
