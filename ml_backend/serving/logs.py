"""Structured logs: one JSON object a line, each with the request it belongs to."""

import logging
import sys

import structlog
from structlog.typing import EventDict

LONGEST = 4000
"""Maximum characters of one value in a line: requests contain text of any length."""


def _shorten(_logger: object, _name: str, event: EventDict) -> EventDict:
    return {
        key: f"{value[:LONGEST]}…" if isinstance(value, str) and len(value) > LONGEST else value
        for key, value in event.items()
    }


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _shorten,
    structlog.processors.format_exc_info,
]


def configure_logging(level: str) -> None:
    """Write structlog's lines and those of the standard library to standard error, as JSON.

    Args:
        level: Minimum level of the project's own lines; libraries log from WARNING up.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("ml_backend", "segmentation_backend", "sam_backend"):
        logging.getLogger(package).setLevel(level)
