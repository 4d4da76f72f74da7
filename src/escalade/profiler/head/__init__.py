"""The head: one process that takes what nodes send, keeps it, and cuts sessions out of it."""
