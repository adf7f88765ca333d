"""What the trail needs from time: strangers' counts are stored once a minute, the head is anchored once an hour."""

from __future__ import annotations

import asyncio

import structlog
from anyio import to_thread

from credit_api.app.wiring import Parts

log = structlog.get_logger(__name__)
TICK_SECONDS = 60


async def keep_time(parts: Parts) -> None:
    """Tick once a minute, until cancelled. What fails is in the service's log, and tried again a minute later."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        try:
            await to_thread.run_sync(parts.audit.tick, parts.clock())
        except Exception as error:
            log.error("audit_tick_failed", error=type(error).__name__, exc_info=error)
