"""Photos that a crew takes of a ticket: checked by their content, kept encrypted beside the residents' own."""

from __future__ import annotations

from werkzeug.datastructures import FileStorage

from bot.change import Context
from bot.models import Ticket, Update
from bot.push_models import Media

MOST_BYTES = 6 * 1024 * 1024  # a photo as phones take them; the script sends about 200 KB


class BadPhoto(ValueError):
    """A file that is no photo we can show; the message is for the person who sent it."""


def read(sent: FileStorage | None) -> tuple[bytes, str] | None:
    """The photo of a form and its type, None where none was chosen. Raises BadPhoto.

    The type is what the first bytes say, never what the phone says.
    """
    if sent is None:
        return None
    content = sent.stream.read(MOST_BYTES + 1)
    if not content:
        return None
    if len(content) > MOST_BYTES:
        raise BadPhoto("照片太大了，请换一张 6 MB 以内的。")
    kind = _kind(content)
    if kind is None:
        raise BadPhoto("这个文件不是照片，请用 JPEG、PNG 或 WebP。")
    return (_without_place(content) if kind == "image/jpeg" else content), kind


def _kind(content: bytes) -> str | None:
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def _without_place(content: bytes) -> bytes:
    """A JPEG without its Exif segments, which tell where and with what it was taken; the picture itself is untouched.

    Segments as ISO/IEC 10918-1 B.1 has them: a marker, and a length that counts itself. What is not understood stays.
    """
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] != 0xE1:
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]])


def keep(context: Context, ticket: Ticket, update: Update, photo: tuple[bytes, str]) -> None:
    """Keep a photo with the line of history that tells of it, in the caller's transaction."""
    content, kind = photo
    context.session.add(
        Media(
            ticket_id=ticket.id,
            update_id=update.id,
            number=0,
            channel="crew",
            kind="image",
            ref="",
            state="kept",
            due_at=context.now,
            expires_at=context.now,
            attempts=0,
            fetched_at=context.now,
            content_type=kind,
            content=content,
        )
    )
