"""Workload: streaming chat completions of an OpenAI-compatible server.

Every request has its own prompt and a fixed number of output tokens. Token counts
are the server's (`usage`); the first chunk is the first event that carries content.

Parameters
----------
model
    Name sent with each request ("default").
path
    Of the endpoint ("/v1/chat/completions").
body
    Merged into the request; a null value removes a key, for servers that refuse
    `ignore_eos` or `cache_prompt` ({}).
keep_alive
    Whether connections are used again (false: llama.cpp drops some that are).
headers
    Added to each request, as for an API key ({}).
"""

from locust import task

from escalade.load.http_user import LeanHttpUser
from escalade.load.workload import due, messages, streamed

PATH = "/v1/chat/completions"


class ChatUser(LeanHttpUser):
    """Sends one streaming chat request per arrival."""

    @task
    def chat(self) -> None:
        """Ask, read the stream, note tokens and counts."""
        request = due()
        ask = {"messages": messages(request)}
        for event in streamed(self.client, request, name="chat", path=PATH, ask=ask):
            for choice in event.get("choices") or ():
                delta = choice.get("delta") or {}
                if (text := delta.get("content")) or delta.get("reasoning_content"):
                    request.chunk()
                    request.says(text or "")
