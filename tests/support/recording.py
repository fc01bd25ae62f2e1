"""Screenshots of a browser as an animated picture, with the pointer and a line of text."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page

_WIDTH, _LINE = 1000, 48
_INK, _PAPER = "white", "#00796b"
_WEBP: Mapping[str, Any] = MappingProxyType({"quality": 75, "method": 4})

# Screenshots show no pointer, so the page draws one.
_POINTER = """
addEventListener("DOMContentLoaded", () => {
    const pointer = document.createElement("div")
    pointer.innerHTML = `<svg width="30" height="30" viewBox="0 0 24 24"><path stroke="white"
        stroke-width="1.5" d="M5 2l14 11h-7l4 8-3 1.5-4-8-4 5z"/></svg>`
    pointer.style = "position:fixed;left:-50px;top:0;z-index:99999;pointer-events:none"
    document.body.append(pointer)
    addEventListener("mousemove", event => {
        pointer.style.left = `${event.clientX - 6}px`
        pointer.style.top = `${event.clientY - 2}px`
    }, true)
})
"""


@dataclass(frozen=True)
class Frame:
    """A picture of the page, with the text below it and how long it is shown."""

    shot: Image.Image
    text: str
    milliseconds: int

    def with_text(self) -> Image.Image:
        """Return the picture with the text below it."""
        whole = Image.new("RGB", (_WIDTH, self.shot.height + _LINE), _PAPER)
        whole.paste(self.shot)
        middle = (_WIDTH / 2, self.shot.height + _LINE / 2)
        font = ImageFont.load_default(24)
        ImageDraw.Draw(whole).text(middle, self.text, _INK, font, anchor="mm")
        return whole


@dataclass
class Recording:
    """Frames of a page, taken one by one.

    Attributes:
        page: Page that is recorded; open it after this.
        frames: Frames so far.
    """

    page: Page
    frames: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(_POINTER)

    def frame(self, text: str, milliseconds: int = 150) -> None:
        """Take a frame with a line of text below it."""
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        size = (_WIDTH, round(shot.height * _WIDTH / shot.width))
        self.frames.append(Frame(shot.resize(size, Image.Resampling.LANCZOS), text, milliseconds))

    def save(self, path: Path) -> None:
        """Write all frames as an animated WebP."""
        first, *others = (frame.with_text() for frame in self.frames)
        durations = [frame.milliseconds for frame in self.frames]
        first.save(path, append_images=others, duration=durations, save_all=True, loop=0, **_WEBP)

    def save_last(self, path: Path, text: str) -> None:
        """Write the last frame that has a text, without the text, as a WebP."""
        last = next(frame for frame in reversed(self.frames) if frame.text == text)
        last.shot.save(path, **_WEBP)
