"""One frozen `Settings`, read once from `FABLEWRIGHT_*` variables or `.env`, and passed down."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be set. Units are in the names where they are not obvious."""

    model_config = SettingsConfigDict(env_prefix="FABLEWRIGHT_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    environment: Literal["development", "production"] = Field(
        "development", description="Production logs JSON and sends HSTS."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    data_dir: Path = Field(
        Path("fablewright-data"), description="Folder of the embedded database and the signing key."
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 15 or newer; unset starts the embedded one."
    )
    database_role: str = Field(
        "fablewright_app", description="Role without ownership that the server works as."
    )
    embedded_version: Literal[16, 18] = Field(18, description="Major version of the embedded PostgreSQL.")
    write_connections: int = Field(
        16, ge=1, le=200, description="Connections that commands use, per process."
    )
    read_connections: int = Field(8, ge=1, le=200, description="Connections that reading uses, per process.")
    connection_wait_seconds: float = Field(
        10.0, gt=0, description="How long to wait for a free connection before answering `overloaded`."
    )
    signing_key: SecretStr | None = Field(
        None, min_length=32, description="Signs tokens; unset uses the key file made in the data folder."
    )

    access_token_seconds: int = Field(900, ge=30, description="Life of an access token.")
    refresh_token_seconds: int = Field(30 * 86400, ge=60, description="Life of a refresh token.")
    session_cache_seconds: float = Field(
        5.0, ge=0, description="How long a process may go on trusting a session it has checked."
    )
    login_attempts: int = Field(5, ge=1, description="Wrong passwords in a row before an account is locked.")
    lockout_seconds: int = Field(300, ge=1, description="How long a locked account stays locked.")
    open_registration: bool = Field(True, description="Whether strangers may register.")

    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body and WebSocket message.")
    max_page: int = Field(200, ge=1, le=1000, description="Most items on a page.")
    max_commands: int = Field(100, ge=1, description="Most commands in one list.")
    max_batch: int = Field(512, ge=1, description="Most hot commands that share a commit.")
    batch_beside_from: int = Field(
        16, ge=1, description="How many hot commands must wait for a second commit to begin beside the first."
    )
    max_queue: int = Field(10_000, ge=1, description="Most hot commands waiting per world.")
    max_cascade: int = Field(8, ge=1, description="Depth to which reactions may set off reactions.")
    max_event_bytes: int = Field(65_536, ge=256, description="Largest payload of one event.")
    max_events_per_commit: int = Field(20_000, ge=1, description="Most events of one transaction.")
    receipt_days: int = Field(7, ge=1, description="How long idempotency receipts are kept.")

    rate_limit_per_minute: int = Field(
        60_000, ge=0, description="Requests per minute and actor, per process; 0 is no limit."
    )
    address_limit_per_minute: int = Field(
        600, ge=0, description="Requests per minute and address that carry no valid token; 0 is no limit."
    )
    trusted_proxies: list[str] = Field(
        default_factory=list, description="Addresses whose X-Forwarded-For is believed."
    )
    cors_origins: list[str] = Field(default_factory=list, description="Origins of web clients, or `*`.")

    socket_idle_seconds: float = Field(60.0, gt=0, description="A WebSocket silent for so long is closed.")
    socket_ping_seconds: float = Field(20.0, gt=0, description="How often the server pings a WebSocket.")
    sockets_per_user: int = Field(2_000, ge=1, description="Open WebSockets per account and process.")
    frame_interval_ms: int = Field(
        100,
        ge=0,
        le=5000,
        description="While a world is busy, its events are gathered into frames of this span.",
    )
    doorbell_ms: int = Field(3, ge=0, le=1000, description="Rings within this span become one.")
    poll_seconds: float = Field(
        1.0, gt=0, le=60, description="How often a process looks for what rings it missed."
    )
    retries: int = Field(8, ge=0, le=50, description="Retries of a transaction after a deadlock.")
    delivery_seconds: float = Field(60.0, gt=0, description="How long one delivery to the outside may take.")
    consumer_attempts: int = Field(
        5, ge=1, description="Tries before a consumer's event becomes a dead letter."
    )


__all__ = ["Settings"]
