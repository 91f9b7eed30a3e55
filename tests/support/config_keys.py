"""Lists the keys of the configuration, from its Structs."""

from __future__ import annotations

import msgspec


def struct_keys(cls, above=()):
    """Return all keys of all sections: (section, key)."""
    if cls.__struct_config__.tag_field:
        yield (above, cls.__struct_config__.tag_field)
    for field in msgspec.structs.fields(cls):
        yield (above, field.encode_name)
        for nested in structs_in(field.type):
            yield from struct_keys(nested, (*above, field.encode_name))


def structs_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [found for option in getattr(annotation, "__args__", ()) for found in structs_in(option)]
