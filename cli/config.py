"""`aperture config show`: every setting, its value and where it can be set."""

import argparse
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aperture.settings import Settings
from cli import output


def show(options: argparse.Namespace, settings: Settings) -> int:
    """Show every setting. Secrets are shown as stars."""
    rows = list(_rows(settings, type(settings).model_fields, "", "APERTURE_"))
    if options.json:
        output.emit(rows)
    else:
        output.table(rows, empty="")
    return 0


def _rows(model: BaseModel, fields: dict[str, FieldInfo], prefix: str, variable: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, field in fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, type(value).model_fields, f"{prefix}{name}.", f"{variable}{name.upper()}__")
        else:
            shown = None if value is None else str(value)
            rows.append(
                {
                    "setting": f"{prefix}{name}",
                    "value": shown,
                    "environment": f"{variable}{name.upper()}",
                    "meaning": field.description,
                }
            )
    return rows
