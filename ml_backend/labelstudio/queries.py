"""Queries for ``GET /api/tasks`` of Label Studio: filters and fields."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TaskFilter:
    """Condition on a numeric column.

    Attributes:
        column: Name of the column, such as ``id`` or ``total_annotations``.
        operator: Comparison operator, such as ``equal`` or ``in_list``.
        value: Number to compare with; several for ``in_list``.
    """

    column: str
    operator: Literal["equal", "greater", "in_list"]
    value: int | Sequence[int]


def task_query(
    project: int, filters: Sequence[TaskFilter], include: str, size: int
) -> dict[str, str | int]:
    """Return the query for a project's tasks, ordered by ID.

    Args:
        project: Project ID.
        filters: Conditions that must all hold.
        include: Comma-separated fields to return of each task.
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
