"""Queries for ``GET /api/tasks`` of Label Studio: which tasks, and what of each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TaskFilter:
    """A condition on a column with numbers.

    Attributes:
        column: Name of the column, such as ``id`` or ``total_annotations``.
        operator: How the column is compared with ``value``.
        value: A number; for ``in_list``, several.
    """

    column: str
    operator: Literal["equal", "greater", "in_list"]
    value: int | Sequence[int]


def task_query(
    project: int, filters: Sequence[TaskFilter], include: str, size: int
) -> dict[str, str | int]:
    """Build the query of a project's tasks, ordered by their number.

    Args:
        project: Project ID.
        filters: Conditions that all must hold.
        include: Fields of each task, separated by commas.
        size: Maximum number of tasks.

    Returns:
        Query parameters.
    """
    items = [
        {
            "filter": f"filter:tasks:{each.column}",
            "operator": each.operator,
            "type": "Number",
            "value": each.value,
        }
        for each in filters
    ]
    query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
    return {
        "project": project,
        "fields": "all",
        "include": include,
        "resolve_uri": "false",
        "page_size": size,
        "query": json.dumps(query),
    }
