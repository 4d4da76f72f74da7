"""Put the objects that are going to be got into a bucket.

`python -m escalade.load.stores.prepare_s3 PLAN`, as the recipes for object stores say.
Sizes and content are drawn from the cell's seed; objects of the same key are overwritten.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from escalade.errors import InputError
from escalade.files import write_json
from escalade.load.stores.objects import Content, ObjectStore
from escalade.load.stores.plan import Progress, prepared
from escalade.load.stores.signature import Credentials, escaped, signed

if TYPE_CHECKING:
    from escalade.load.stores.plan import PreparePlan

OBJECTS = "objects.json"
_AT_ONCE = 4
_PATIENCE_SECONDS = 60.0
_MISSING = 404
_BAD = 400


@dataclass(frozen=True)
class _Bucket:
    url: str
    store: ObjectStore
    credentials: Credentials
    session: requests.Session

    def ask(self, method: str, path: str, body: bytes = b"") -> requests.Response:
        host, region = urlsplit(self.url).netloc, self.store.region
        headers = signed(self.credentials, method, host=host, path=path, region=region)
        try:
            return self.session.request(
                method,
                self.url.rstrip("/") + escaped(path),
                data=body,
                headers=headers,
                timeout=_PATIENCE_SECONDS,
            )
        except requests.RequestException as error:
            raise InputError(f"the object store can't be reached: {error}") from None

    def make(self) -> None:
        """Insist on the bucket, or make it where that is asked for."""
        path = f"/{self.store.bucket}"
        found = self.ask("HEAD", path)
        if found.status_code != _MISSING:
            _insist(found, f"bucket {self.store.bucket}")
        elif self.store.create_bucket:
            _insist(self.ask("PUT", path), f"making bucket {self.store.bucket}")
        else:
            raise InputError(
                f"there is no bucket {self.store.bucket}. Make it, or set the workload's parameter "
                "create_bucket to true."
            )


def prepare(plan: PreparePlan) -> dict[str, Any]:
    """Make the bucket where needed, put the objects there; give a summary.

    Raises
    ------
    InputError
        When the parameters are wrong, or the store refuses or can't be reached.
    """
    store = ObjectStore.of(plan.parameters)
    content, sizes = Content(plan.seed), store.sizes(plan.seed)
    progress = Progress("put {done} of {of} objects")
    began = time.monotonic()
    with requests.Session() as session, ThreadPoolExecutor(_AT_ONCE) as pool:
        session.trust_env = False  # a .netrc or a proxy would change what was signed
        bucket = _Bucket(plan.url, store, Credentials.of(plan.parameters), session)
        bucket.make()

        def put(number: int) -> None:
            path = store.path("get", number)
            _insist(bucket.ask("PUT", path, content.bytes(number, sizes[number])), f"PUT {path}")

        for done, _ in enumerate(pool.map(put, range(store.objects)), start=1):
            progress(done, store.objects)
    write_json(plan.folder / OBJECTS, {"schema": 1, "seed": plan.seed, "sizes": sizes})
    return {
        "bucket": store.bucket,
        "objects": store.objects,
        "bytes": sum(sizes),
        "put_seconds": round(time.monotonic() - began, 3),
    }


def _insist(answer: requests.Response, what: str) -> None:
    if answer.status_code >= _BAD:
        said = answer.text[:200].replace("\n", " ")
        raise InputError(f"the object store refused {what}: {answer.status_code} {said}")


def main(argv: list[str]) -> int:
    """Prepare what the plan says; give an exit code."""
    return prepared(argv, prepare)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
