# SPDX-License-Identifier: Apache-2.0
"""Read a form within bounds. Values only: what they mean is the services' business."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from insight_edge.errors import DocumentError, LimitExceededError

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 100
MAX_TEXT = 2000
"""Characters of one field."""


@dataclass(frozen=True)
class Form:
    """What was filled in; a field that is empty counts as left out."""

    fields: dict[str, str]

    def text(self, name: str) -> str | None:
        """Return a field without space around it."""
        return self.fields.get(name, "").strip() or None

    def needed(self, name: str, title: str) -> str:
        """Return a field that has to be filled in.

        Raises:
            DocumentError: it is not.
        """
        found = self.text(name)
        if found is None:
            raise DocumentError(f"{title} is missing", hint="go back and fill it in")
        return found

    def number(self, name: str, title: str) -> int:
        """Return a field that has to be a whole number.

        Raises:
            DocumentError: it is not.
        """
        return whole(self.needed(name, title), title)


def whole(text: str, title: str) -> int:
    """Return the number that a text says.

    Raises:
        DocumentError: it says none of at most 15 digits.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise DocumentError(f"{title} is no whole number: '{text[:20]}'")
    return int(text)


async def read_form(request: Request) -> Form:
    """Return the form that was sent, its last word where a field is there twice.

    Raises:
        LimitExceededError: it is too long; the rest is not read.
        DocumentError: it is no form.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_FORM_BYTES:
            raise LimitExceededError(f"the form is longer than {MAX_FORM_BYTES} bytes")
    return parse_form(bytes(data))


def parse_form(data: bytes) -> Form:
    """Return what a body says.

    Raises:
        DocumentError: it is no form.
        LimitExceededError: a field is too long.
    """
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise DocumentError("this is no form") from error
    if any(len(value) > MAX_TEXT for _, value in pairs):
        raise LimitExceededError(f"a field is longer than {MAX_TEXT} characters")
    return Form(dict(pairs))


Filled = Annotated[Form, Depends(read_form)]
