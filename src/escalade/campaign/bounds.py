"""What a user says of the hardware's limits, as the configuration or the site file has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from escalade.services.validation import Section

Figure = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Bounds(Section):
    """What the hardware can do: the figures that upper bounds are made of (docs/bounds.md).

    Of a campaign or a site. None of them changes what is measured, nor the hash of a cell.
    """

    measure: bool = True
    """Whether the memory bandwidth and the arithmetic of the service's CPUs are measured for a second before
    each start of a service that they bound. A figure given below counts instead of a measured one."""
    memory_bandwidth_bytes_per_second: Figure | None = None
    """Memory bandwidth of all that the service has: of its CPUs, or of its GPUs together."""
    flops_per_second: Figure | None = None
    """Arithmetic of all that the service has, in floating-point operations per second."""
    link_bytes_per_second: Figure | None = None
    """Bandwidth of the network between client and service, in each direction."""
    disk_bytes_per_second: Figure | None = None
    """Bandwidth of the disks of a store."""

    @property
    def given(self) -> dict[str, float]:
        """The figures that are given, by name."""
        content = self.model_dump(mode="json", exclude={"measure"}, exclude_none=True)
        return {str(name): float(value) for name, value in content.items()}
