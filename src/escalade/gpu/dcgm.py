"""Whether DCGM's exporter, where one runs, tells what ours would: all GPUs of the job, and often enough."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from escalade.gpu import nvml

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
_TIMEOUT_SECONDS = 2.0


def why_not(address: str, port: int, seconds: float) -> str:
    """Say what keeps an exporter of DCGM from being scraped in place of ours; "" when nothing does.

    Parameters
    ----------
    address, port
        Where it would listen.
    seconds
        Between two scrapes. DCGM's exporter gives what it read last, by default each 30 s: energy, which
        always grows, has to be another after this time.
    """
    uuids = {gpu["uuid"] for gpu in nvml.gpus()[0]}
    if any(uuid.startswith("MIG-") for uuid in uuids):
        return "its labels name no MIG device"
    try:
        before = _energies(address, port)
        if missing := sorted(uuids - before.keys()):
            return f"it does not tell the energy of {', '.join(missing)}"
        time.sleep(1.2 * seconds)
        after = _energies(address, port)
    except (OSError, urllib.error.URLError) as error:
        return f"there is none: {getattr(error, 'reason', error)}"
    except ValueError:
        return "the page there is none of Prometheus"
    if any(after.get(uuid) == before[uuid] for uuid in uuids):
        return f"it reads the GPUs more seldom than each {seconds:g} s"
    return ""


def _energies(address: str, port: int) -> dict[str, float]:
    """Give the energy counter of each GPU of the page, by UUID, in mJ."""
    where = f"http://{address}:{port}/metrics"
    with urllib.request.urlopen(where, timeout=_TIMEOUT_SECONDS) as page:
        text = page.read().decode("utf-8")
    return {
        sample.labels["UUID"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.removesuffix("_total") == ENERGY and "UUID" in sample.labels
    }
