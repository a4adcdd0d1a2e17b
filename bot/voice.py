"""Voice messages as a browser can play them.

WeChat records AMR (developers.weixin.qq.com, "Receiving standard messages"), which no browser plays; it becomes WAV.
"""

from __future__ import annotations

import io

import av

LONGEST = 5 * 60  # seconds that are turned; WeChat's own end at 60
_AMR = (b"#!AMR\n", b"#!AMR-WB\n")


class VoiceError(ValueError):
    """These bytes are no recording that can be played; the message is one sentence."""


def is_amr(content: bytes) -> bool:
    """Whether a recording is AMR, narrow or wide band, by its first bytes (RFC 4867, section 5)."""
    return content.startswith(_AMR)


def wav(content: bytes) -> bytes:
    """An AMR recording as WAV: PCM of 16 bits, one channel, at its own rate. Raises VoiceError for a broken one."""
    out = io.BytesIO()
    try:
        with av.open(io.BytesIO(content), "r", format="amr") as recording, av.open(out, "w", format="wav") as written:
            _copy(recording, written)
    except (av.error.FFmpegError, IndexError) as error:
        raise VoiceError("The recording cannot be read.") from error
    if out.tell() == 0:
        raise VoiceError("The recording is empty.")
    return out.getvalue()


def _copy(recording: av.container.InputContainer, written: av.container.OutputContainer) -> None:
    source = recording.streams.audio[0]
    target = written.add_stream("pcm_s16le", rate=source.rate, layout="mono")
    same_rate = av.AudioResampler("s16", "mono", source.rate)
    left = LONGEST * source.rate  # samples
    for frame in recording.decode(source):
        left -= frame.samples
        for plain in same_rate.resample(frame):
            written.mux(target.encode(plain))
        if left <= 0:
            break
    written.mux(target.encode(None))
