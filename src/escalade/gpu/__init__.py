"""GPUs of this node, as NVML shows them."""
