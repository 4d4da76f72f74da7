"""What a service counts about itself: its caches, its requests, its queue.

For services that are measured here or run in production: docs/operations-metrics.md. It stands on
prometheus-client alone, so that a service may import it without the tables of the analysis.
"""

from escalade.operations.cache import MODES, CacheMetrics, Mode
from escalade.operations.traffic import Request, RequestMetrics
from escalade.runtime.exposition import serving

__all__ = ["MODES", "CacheMetrics", "Mode", "Request", "RequestMetrics", "serving"]
