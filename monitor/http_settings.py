"""The settings of the page, the API and the metrics: where, and who may do what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, model_validator

from monitor.section import Section

Role = Literal["viewer", "operator", "admin"]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Access(Section):
    """Somebody's token."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f:]{1,100}$")] = Field(
        description="Under which what they do is noted."
    )
    role: Role = Field(
        description="viewer: sees all. operator: acknowledges, shelves, marks, tests subscriptions too. admin: "
        "everything (docs/http.md)."
    )
    token: SecretStr = Field(description="At least 16 characters; better given as token_file.")

    @model_validator(mode="after")
    def _long_enough(self) -> Access:
        if len(self.token.get_secret_value()) < 16:
            raise ValueError("the token has fewer than 16 characters; `openssl rand -hex 24` makes a good one")
        return self


class Http(Section):
    """The page, the API and the metrics."""

    host: str = Field("127.0.0.1", description="Where to listen; anything but loopback needs a token.")
    port: int = Field(8090, ge=0, le=65535, description="0 takes a free one.")
    token: SecretStr | None = Field(
        None, description="What callers must show, except for /healthz; who shows it is admin."
    )
    access: tuple[Access, ...] = Field((), max_length=1000, description="Tokens of people and programs, with roles.")
    public_url: str | None = Field(
        None, pattern=r"^https?://", description="How others reach the page; links in alerts begin with it."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Host names under which the service answers. Without tokens, where none is named: those of this "
        "machine and of public_url; with tokens any.",
    )
    link_key: SecretStr | None = Field(
        None,
        description="Signs the links in messages, which work without a token; at least 16 characters, better given as "
        "link_key_file. Where not given it is made from http.token; without both no links are signed.",
    )
    link_hours: float = Field(168, gt=0, le=8760, description="So long a signed link works.")
    orders_per_minute: int = Field(
        120, ge=1, le=100_000, description="Requests that change something, from one address; more are refused for now."
    )
    reads_per_minute: int = Field(
        12_000,
        ge=60,
        le=1_000_000,
        description="Other requests from one address, likewise; a page of 64 cameras asks about 6000 times a minute.",
    )

    @property
    def base_url(self) -> str:
        """How others reach the page, as far as the configuration tells."""
        host = "localhost" if self.host in {"0.0.0.0", "::"} else self.host
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @model_validator(mode="after")
    def _not_open_to_all(self) -> Http:
        if self.token is not None and not self.token.get_secret_value():
            raise ValueError("the token is empty")
        if self.link_key is not None and len(self.link_key.get_secret_value()) < 16:
            raise ValueError("link_key has fewer than 16 characters; `openssl rand -hex 24` makes a good one")
        tokens = [one.token.get_secret_value() for one in self.access]
        if self.token is not None:
            tokens.append(self.token.get_secret_value())
        if len(set(tokens)) < len(tokens):
            raise ValueError("two tokens are the same, so nobody could tell who acts")
        if not tokens and self.host not in LOOPBACK:
            raise ValueError(
                f"listening on {self.host} needs http.token or http.token_file, or http.access; without one only "
                "loopback addresses are served"
            )
        return self
