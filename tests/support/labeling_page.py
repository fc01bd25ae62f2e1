"""Drives the labeling page as a labeler does, by labels, tools and the mouse."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Locator, Page, expect

Tool = Literal["r", "k"]
"""Key of a smart tool: the box, the points."""

_CONTROLS = {"r": "box", "k": "point"}
"""Key of a smart tool → its name in the label config."""


POLLING = 100
"""Milliseconds between two looks at a condition."""

_STEPS = 8
"""Moves of the mouse in a drag from one spot to the next."""


class Spot(NamedTuple):
    """A place in the image as the browser shows it: fractions of its width and height."""

    x: float
    y: float

    def towards(self, other: "Spot", fraction: float) -> "Spot":
        """Return the place at a fraction of the way to another one."""
        return Spot(*(a + fraction * (b - a) for a, b in zip(self, other, strict=True)))


def log_in(page: Page, url: str, email: str, password: str) -> None:
    """Log in to the Label Studio at ``url``."""
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)


class LabelingPage:
    """One task, opened for labeling."""

    def __init__(self, page: Page, project_url: str, task: int) -> None:
        self._page = page
        self._address = f"{project_url}?task={task}"
        self.task = task
        self._submit = page.get_by_test_id("bottombar-submit-button")
        self._open()
        expect(self._submit).to_be_visible()

    def _open(self) -> None:
        self._page.goto(self._address)
        self._wait("() => document.querySelector('.lsf-image > canvas')?.width > 0")

    def reopen(self) -> None:
        """Open the task again, and wait for the annotation that was submitted."""
        self._page.goto("about:blank")
        self._open()
        self.wait_for_regions()

    def _wait(self, condition: str, arg: object = None) -> None:
        """Wait until a condition holds. Asked at each frame, the page would draw all the time."""
        self._page.wait_for_function(condition, arg=arg, polling=POLLING)

    @property
    def headers(self) -> list[str]:
        """What the task tells of the look."""
        return [text for text in self._page.locator(".look > *").all_inner_texts() if text]

    @property
    def labels(self) -> list[str]:
        """The label of each region, first made first."""
        labels: list[str] = self._page.evaluate(
            """Htx.annotationStore.selected.regions
                .filter(region => !region.classification)
                .map(region => region.labels.join())"""
        )
        return labels

    def wait_for_regions(self) -> None:
        """Wait until the prediction is copied into the annotation."""
        self._wait("() => Htx.annotationStore.selected.regions.length > 0")

    def switch_on_smart_tools(self) -> None:
        """Switch on Auto-Annotation, under the image."""
        toggle = self._page.get_by_test_id("bottombar-auto-annotation-toggle")
        toggle.check(force=True)
        # Their keys work only once they are there.
        self._page.locator("button.lsf-tool_smart").first.wait_for()

    def turn_left(self) -> None:
        """Turn the view by a quarter, and wait until it is turned."""
        self._tool("rotate-left").click()
        self._wait("Htx.annotationStore.selected.names.get('image').rotation === 270")

    def switch_on_auto_accept(self) -> None:
        """Have suggestions accepted as they come."""
        toggle = self._page.get_by_test_id("bottombar-auto-accept-toggle")
        toggle.check(force=True)

    def accepted_box(self, first: Spot, last: Spot) -> None:
        """Drag a box with Auto-Accept on, and wait for the region."""
        count = len(self.labels)
        self._drag([first, last])
        self._wait(
            """count => !Htx.awaitingSuggestions
                && Htx.annotationStore.selected.suggestions.size === 0
                && Htx.annotationStore.selected.regions.length === count + 1
                && Htx.annotationStore.selected.regions.every(one => one.type === "brushregion")""",
            arg=count,
        )

    def relabel(self, label: str, other: str) -> None:
        """Give a region another label."""
        self._select(label)
        self.choose_label(other)
        self._page.keyboard.press("Escape")

    def choose_smart_tool(self, tool: Tool) -> None:
        """Take a smart tool by its key, and wait until the page shows it as taken."""
        self.press("Escape")
        self.press(tool)
        self._wait(
            """name => {
                const tools = Htx.annotationStore.selected.names.get("image").getToolsManager()
                const tool = tools.findSelectedTool()
                return tool?.dynamic && tool.control.name === name
            }""",
            arg=_CONTROLS[tool],
        )

    def press(self, keys: str) -> None:
        """Press a key, with the focus on no field: those keep keys to themselves."""
        self._page.evaluate("document.activeElement.blur()")
        self._page.keyboard.press(keys)

    def chosen(self, control: str) -> list[str]:
        """The labels that are chosen in a control of the label config."""
        labels: list[str] = self._page.evaluate(
            """control => Htx.annotationStore.selected.names.get(control)
                .selectedLabels.map(label => label.value)""",
            control,
        )
        return labels

    def choose_label(self, label: str) -> None:
        """Choose a garment by a click; one that is chosen stays so."""
        if self.chosen("label") == [label]:
            return
        exactly = self._page.get_by_text(label, exact=True)
        self._page.locator(".garments .lsf-label_clickable").filter(has=exactly).click()

    def smart_box(self, label: str, first: Spot, last: Spot) -> None:
        """Drag a box and wait for the mask that is suggested."""
        self.choose_smart_tool("r")
        self.choose_label(label)
        self.drag_box(first, last)

    def drag_box(self, first: Spot, last: Spot, watch: Callable[[], None] | None = None) -> None:
        """Drag a box with the chosen tool and label, and wait for the mask that is suggested.

        Args:
            first: Where the drag begins.
            last: Where it ends.
            watch: Called at each step of the drag.
        """
        with self._answer():
            self._drag([first, last], watch)

    def smart_box_by_key(self, key: str, first: Spot, last: Spot) -> None:
        """Choose a label of the smart box by its key, drag, and wait for the mask."""
        self.choose_smart_tool("r")
        self.press(key)
        with self._answer():
            self._drag([first, last])

    def smart_turned_box(self, label: str, first: Spot, second: Spot, third: Spot) -> None:
        """Click three corners of a turned box and wait for the mask that is suggested."""
        self.press("Escape")
        self.press("Shift+R")
        self._wait(
            """() => {
                const tools = Htx.annotationStore.selected.names.get("image").getToolsManager()
                const tool = tools.findSelectedTool()
                return tool?.dynamic && tool.toolName === "Rectangle3PointTool"
            }"""
        )
        self.choose_label(label)
        with self._answer():
            for spot in (first, second, third):
                self._page.mouse.move(*self._pixel(spot), steps=4)
                self._page.mouse.click(*self._pixel(spot))

    def turn_page(self, item: int) -> None:
        """Show another page of the image, counted from 0, and wait until it is drawn."""
        self._page.evaluate(
            "item => Htx.annotationStore.selected.names.get('image').setCurrentImage(item)", item
        )
        self._wait(
            """item => {
                const image = Htx.annotationStore.selected.names.get("image")
                return image.currentImage === item && image.imageIsLoaded
            }""",
            arg=item,
        )

    def type_prompt(self, text: str) -> None:
        """Enter a text in the TextArea for prompts and wait for what is suggested."""
        field = self._page.locator(".prompt textarea, .prompt input").first
        field.fill(text)
        with self._answer():
            field.press("Enter")

    @property
    def choices(self) -> list[str]:
        """What is chosen in all questions on the whole image."""
        chosen: list[str] = self._page.evaluate(
            """[...Htx.annotationStore.selected.names.values()]
                .filter(tag => tag.type === "choices")
                .flatMap(tag => tag.selectedValues())"""
        )
        return chosen

    def delete_all(self) -> None:
        """Delete each region."""
        for label in self.labels:
            self.delete(label)

    def smart_points(self, label: str, spots: Sequence[tuple[Spot, bool]]) -> None:
        """Click spots that belong to the object (True) or not, waiting for each new mask."""
        self.choose_smart_tool("k")
        self.choose_label(label)
        for spot, positive in spots:
            with self._held("Control"), self._answer():
                self._click(spot, positive)

    def accept(self) -> None:
        """Accept what is suggested."""
        button = self._page.get_by_test_id("bottombar-accept-suggestions-button")
        button.click()
        expect(button).to_be_hidden()

    def paint(self, label: str, stroke: Sequence[Spot]) -> None:
        """Draw a new region with the brush."""
        self.choose_label(label)
        self._tool("brush-tool").click()
        self._drag(stroke)

    def magic_wand(self, label: str, first: Spot, last: Spot) -> None:
        """Drag the magic wand, the farther the more unlike colours it takes; then name the region.

        In this order, because Label Studio takes the label away when the wand is chosen.
        """
        self._tool("magicwand").click()
        self._drag([first, last])
        self._wait("Htx.annotationStore.selected.selectedRegions.length === 1")
        self.choose_label(label)

    def erase(self, label: str, stroke: Sequence[Spot]) -> None:
        """Rub out a part of the region with the label."""
        self._select(label)
        self._tool("eraser").click()
        self._drag(stroke)

    def delete(self, label: str) -> None:
        """Delete the region with the label."""
        self._select(label)
        self._page.keyboard.press("Backspace")

    def submit(self) -> None:
        """Submit, and wait until Label Studio has stored it."""
        with self._page.expect_response("**/annotations*") as response:
            self._submit.click()
        assert response.value.ok, response.value.text()

    def screenshot(self, path: Path) -> None:
        """Take a picture of the page."""
        self._page.screenshot(path=path)

    def _select(self, label: str) -> None:
        self._page.keyboard.press("Escape")
        self._page.locator(".lsf-tree__node").filter(has_text=label).first.click()

    def _tool(self, name: str) -> Locator:
        return self._page.locator(f"button.lsf-tool[aria-label={name}]:not(.lsf-tool_smart)")

    def _click(self, spot: Spot, positive: bool) -> None:
        if positive:
            self._page.mouse.click(*self._pixel(spot))
        else:
            with self._held("Alt"):
                self._page.mouse.click(*self._pixel(spot))

    def _drag(self, stroke: Sequence[Spot], watch: Callable[[], None] | None = None) -> None:
        self._page.mouse.move(*self._pixel(stroke[0]))
        self._page.mouse.down()
        for start, end in pairwise(stroke):
            for step in range(1, _STEPS + 1):
                self._page.mouse.move(*self._pixel(start.towards(end, step / _STEPS)))
                if watch:
                    watch()
        self._page.mouse.up()

    def _pixel(self, spot: Spot) -> tuple[float, float]:
        box = self._page.locator(".lsf-image > canvas").bounding_box()
        assert box is not None
        return box["x"] + spot.x * box["width"], box["y"] + spot.y * box["height"]

    @contextmanager
    def _answer(self) -> Iterator[None]:
        """Wait until the page shows what the sam backend answered to the prompt."""
        with self._page.expect_response("**/interactive-annotating*"):
            yield
        self._wait("!Htx.awaitingSuggestions && Htx.annotationStore.selected.suggestions.size > 0")

    @contextmanager
    def _held(self, key: str) -> Iterator[None]:
        self._page.keyboard.down(key)
        yield
        self._page.keyboard.up(key)


class LabelingStream(LabelingPage):
    """The label stream of a project, which opens the next task after each submission."""

    def _open(self) -> None:
        self._page.goto(self._address.partition("?")[0])
        self._page.get_by_text("Label All Tasks").click()
        self._wait("() => document.querySelector('.lsf-image > canvas')?.width > 0")

    def wait_for_task(self, task: int) -> None:
        """Wait until a task is shown with the regions of its prediction."""
        self._wait("task => Number(window.Htx?.task?.id) === task", arg=task)
        self.wait_for_regions()
