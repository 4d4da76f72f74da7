"""Workload: GET and PUT of objects in an S3 store, one per arrival.

Which object a request is for, and how large a PUT is, are drawn from the seed. Objects
that are got were put there before the load (`escalade.load.stores.prepare_s3`); those
that are put have other keys. The first chunk is the first byte of the answer: of a GET's
content, of a PUT's head. Requests are signed before they are due.

Parameters
----------
objects_file
    Seed and sizes of the objects, as they were prepared.
secret_file
    File with the secret key of `escalade` (none: AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment).
bucket, region, prefix
    Where the objects are ("escalade", "us-east-1", "escalade/").
create_bucket
    Whether the bucket is made where there is none (true).
objects
    How many to get (100), and how many different keys are put.
object_bytes
    Their sizes: a number, or how it is drawn, as the lengths of prompts are (65536).
get_share
    Share of GET among the requests (0.8).
"""

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from locust import task

from escalade.errors import InputError
from escalade.files import read_json
from escalade.load.arrival import Arrival
from escalade.load.http_user import LeanHttpUser
from escalade.load.stores.objects import Content, Draws, ObjectStore
from escalade.load.stores.signature import Credentials, escaped, signed
from escalade.load.workload import due, headers, parameters


class Prepared:
    """What was put there, and what is going to be asked for."""

    def __init__(self) -> None:
        known = read_json(Path(parameters()["objects_file"]), "prepared objects")
        self.store = ObjectStore.of(parameters())
        self.sizes: list[int] = known["sizes"]
        if len(self.sizes) < self.store.objects:
            raise InputError(
                f"{len(self.sizes)} objects were prepared, {self.store.objects} asked for."
            )
        self.draws = Draws(self.store, known["seed"])
        self.content = Content(known["seed"])
        self.credentials = Credentials.of(parameters())


@cache
def prepared() -> Prepared:
    """Read it once."""
    return Prepared()


class ObjectUser(LeanHttpUser):
    """Sends one request per arrival."""

    insecure = False

    def on_start(self) -> None:
        """Read what was prepared before the first arrival."""
        prepared()

    @task
    def move(self) -> None:
        """Get or put an object."""
        request = due()
        operation, number, size = prepared().draws.of(request.payload_id)
        request.note("put", float(operation == "put"))
        request.note("bytes_out", size)
        if operation == "get":
            self._get(request, number)
        else:
            self._put(request, number, size)

    def _get(self, request: Arrival, number: int) -> None:
        path = prepared().store.path("get", number)
        with self.client.get(
            escaped(path),
            name="GET",
            headers=self._headers(request, "GET", path),
            stream=True,
            catch_response=True,
        ) as answer:
            if not answer.ok:
                return
            count = 0
            for piece in answer.pieces():
                if not count:
                    request.chunk()
                count += len(piece)
                request.received(len(piece))
            if count != prepared().sizes[number]:
                answer.failure(ValueError(f"{count} bytes came of {prepared().sizes[number]}"))

    def _put(self, request: Arrival, number: int, size: int) -> None:
        path = prepared().store.path("put", number)
        with self.client.put(
            escaped(path),
            name="PUT",
            data=prepared().content.bytes(number, size),
            headers=self._headers(request, "PUT", path),
            stream=True,
            catch_response=True,
        ) as answer:
            if answer.ok:
                request.chunk()
                for piece in answer.pieces():
                    request.received(len(piece))

    def _headers(self, request: Arrival, method: str, path: str) -> dict[str, str]:
        known = prepared()
        host = urlsplit(str(self.host)).netloc
        own = headers(request, keep_alive=True) | {"Accept-Encoding": "identity"}
        region = known.store.region
        return own | signed(known.credentials, method, host=host, path=path, region=region)
