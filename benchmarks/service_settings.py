"""Which settings this version of the service has."""

from service.settings import PREFIX, Settings


def default_of(name: str) -> str | None:
    """The default of a setting, as text; None where this version has no such setting."""
    field = Settings.model_fields.get(name.removeprefix(PREFIX).lower())
    return str(field.get_default(call_default_factory=True, validated_data={})) if field else None
