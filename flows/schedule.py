"""When the nightly flow starts by itself."""

from __future__ import annotations

import zoneinfo

from prefect.client.schemas.schedules import CronSchedule
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class ScheduleConfig(BaseModel):
    """When the nightly flow starts by itself (params.yaml: schedule)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field("0 2 * * *", description="Minute, hour, day of month, month, day of week")
    timezone: str = Field("UTC", description="Name of the time zone, as in Europe/Berlin")
    active: bool = Field(False, description="Whether the schedule is switched on at first")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        try:
            CronSchedule(cron=value)
        except ValidationError:
            raise ValueError("five fields of cron, such as '0 2 * * *'") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError("the name of a time zone, such as Europe/Berlin")
        return value
