"""Which keys of a campaign's configuration are not at their defaults: what somebody chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.campaign.models import Campaign


def chosen(campaign: Campaign) -> tuple[str, ...]:
    """Name the keys that differ from their defaults, as in `load/ladder/0/target_qps`.

    Keys without a default are always chosen. What a preset (`suite`) put there differs too.
    """
    return tuple("/".join(path) for path in _differing(campaign, None, ()))


def _differing(value: Any, default: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, BaseModel):
        alike = isinstance(default, type(value))
        for name, field in type(value).model_fields.items():
            usual = (
                getattr(default, name) if alike else field.get_default(call_default_factory=True)
            )
            key = field.serialization_alias or field.alias or name
            yield from _differing(getattr(value, name), usual, (*path, key))
    elif value == default and default is not PydanticUndefined:
        return
    elif isinstance(value, list | tuple) and any(isinstance(each, BaseModel) for each in value):
        for place, each in enumerate(value):
            yield from _differing(each, None, (*path, str(place)))
    elif isinstance(value, dict) and value:
        usual = default if isinstance(default, dict) else {}
        for key, each in value.items():
            yield from _differing(each, usual.get(key, PydanticUndefined), (*path, str(key)))
    else:
        yield path
