"""The agent of one node: reads its GPUs, and sends what was read until the head has it."""
