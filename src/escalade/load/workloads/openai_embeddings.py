"""Workload: embeddings of an OpenAI-compatible server, one text per request.

The text is the request's prompt. Its number of tokens is the server's (`usage`); an
answer without a vector of numbers is malformed.

Parameters
----------
model
    Name sent with each request ("default").
path
    Of the endpoint ("/v1/embeddings").
body
    Merged into the request; a null value removes a key ({}).
keep_alive
    Whether connections are used again (true).
headers
    Added to each request, as for an API key ({}).
"""

from typing import Any

from locust import task

from escalade.load.answer import Answer
from escalade.load.http_user import LeanHttpUser
from escalade.load.workload import due, headers, note_usage, parameters, prompt, with_own

PATH = "/v1/embeddings"


class EmbeddingUser(LeanHttpUser):
    """Sends one embedding request per arrival."""

    @task
    def embed(self) -> None:
        """Ask, check the answer, note the server's count."""
        request = due()
        body = {"model": parameters().get("model", "default"), "input": prompt(request)}
        with self.client.post(
            parameters().get("path", PATH),
            name="embedding",
            json=with_own(body | {"encoding_format": "float"}),
            headers=headers(request, keep_alive=True),
            catch_response=True,
        ) as response:
            if response.ok:
                answer = _vector_of(response)
                if answer is None:
                    response.failure(ValueError("the answer has no vector of numbers"))
                else:
                    note_usage(request, answer)


def _vector_of(response: Answer) -> dict[str, Any] | None:
    """Give the answer when it is what was asked for."""
    try:
        answer: dict[str, Any] = response.json()
        vector = answer["data"][0]["embedding"]
        return answer if vector and all(isinstance(part, (int, float)) for part in vector) else None
    except (ValueError, KeyError, IndexError, TypeError):
        return None
