"""What every section of a configuration is: frozen, described, strict about keys, secrets from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from monitor.shown import NOT_SHOWN, may_hold_password, shown
from streams.camera_id import checked_camera


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
            # A comma may be part of a password: all of the text decides, not this piece.
            found = NOT_SHOWN if may_hold_password(value) else shown(server.strip())
            raise ValueError(f"expected host:port, several parted by commas, found {found}")
    return value


Servers = Annotated[str, AfterValidator(_servers)]

Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
"""What a broker takes for a name; the client raises at any other, at the first contact."""


class Section(BaseModel):
    """A part of the tree: unknown keys are errors, values do not change, secrets may come as `<key>_file`."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for name, field in cls.model_fields.items():
            if "SecretStr" not in str(field.annotation) or f"{name}_file" not in data:
                continue
            if name in data:
                raise ValueError(f"give either {name} or {name}_file, not both")
            given = str(data.pop(f"{name}_file"))
            try:
                data[name] = Path(given).expanduser().read_text(encoding="utf-8").strip()
            except OSError as error:
                what = NOT_SHOWN if may_hold_password(given) else given
                raise ValueError(f"{name}_file: cannot read {what}: {error.strerror}") from None
            except (ValueError, RuntimeError):
                raise ValueError(f"{name}_file: expected the path of a file with UTF-8 text") from None
        return data


CameraId = Annotated[str, AfterValidator(checked_camera)]
