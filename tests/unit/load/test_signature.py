"""Signatures of S3 requests, against the worked example of its documentation."""

from __future__ import annotations

import calendar

import pytest

from escalade.errors import InputError
from escalade.load.stores.objects import Content, Draws, ObjectStore
from escalade.load.stores.signature import Credentials, escaped, signed

EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AT = calendar.timegm((2013, 5, 24, 0, 0, 0))
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_documented_get_has_the_documented_signature() -> None:
    headers = signed(
        EXAMPLE,
        "GET",
        host="examplebucket.s3.amazonaws.com",
        path="/test.txt",
        region="us-east-1",
        headers={"Range": "bytes=0-9"},
        payload=EMPTY,
        at=AT,
    )

    assert headers["x-amz-date"] == "20130524T000000Z"
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_session_signs_its_token() -> None:
    temporary = Credentials("key", "secret", "token")
    headers = signed(temporary, "GET", host="h", path="/b/k", region="r", at=AT)

    assert headers["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in headers["Authorization"]


def test_a_path_is_escaped_as_s3_escapes_it() -> None:
    assert escaped("/bucket/a b+c~ü.txt") == "/bucket/a%20b%2Bc~%C3%BC.txt"


def test_credentials_come_from_the_environment_or_a_file_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    assert Credentials.of({"access_key": "x", "secret_key": "y"}) == Credentials("me", "mine")
    with pytest.raises(InputError, match="can't be read"):
        Credentials.of({"secret_file": f"{tmp_path}/none"})


def test_requests_are_drawn_from_seed_and_payload_alone() -> None:
    store = ObjectStore.of({"objects": 50, "get_share": 0.75, "object_bytes": {"uniform": [1, 9]}})
    drawn = [Draws(store, 3).of(number) for number in range(2000)]

    assert drawn == [Draws(store, 3).of(number) for number in range(2000)]
    assert drawn != [Draws(store, 4).of(number) for number in range(2000)]
    assert 0.71 < sum(operation == "get" for operation, _, _ in drawn) / 2000 < 0.79
    assert {number for _, number, _ in drawn} == set(range(50))
    assert {size for operation, _, size in drawn if operation == "put"} == set(range(1, 10))
    assert {size for operation, _, size in drawn if operation == "get"} == {0}


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, 3_000_000])
def test_content_is_as_long_as_asked_for_and_the_same_for_the_same_seed(size: int) -> None:
    content = Content(1).bytes(77, size)

    assert len(content) == size
    assert content == Content(1).bytes(77, size)
    assert content != Content(2).bytes(77, size)
