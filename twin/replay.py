"""Encodings that are replayed: a clip is encoded once, and from then on lasts as long as is wanted."""

import stat
from pathlib import Path

import imageio_ffmpeg

# Reports a frame every half a second, as ffmpeg itself does. Whatever else ffmpeg is asked for is done
_SCRIPT = """#!/bin/sh
case "$*" in *" file:body.mp4 "*) ;; *) exec "{ffmpeg}" "$@" ;; esac
kept="{cache}/$(cksum < source.mp4 | tr ' ' -)"
frame=0
while [ $frame -lt "${REPLAY_HALF_SECONDS:-{half_seconds}}" ]; do
    frame=$((frame + 1)); echo "frame=$frame"; sleep 0.5
done
if [ -d "$kept" ]; then
    cp "$kept"/* . && echo frame=600
    exit
fi
"{ffmpeg}" "$@" || exit $?
mkdir "$kept.$$" && cp body.mp4 looks.gray candidate-*.jpg "$kept.$$" || exit
mv -T "$kept.$$" "$kept" 2>/dev/null || rm -r "$kept.$$"
"""


def write_replay(script: Path, *, cache: Path, seconds: float) -> Path:
    """Write what stands in for ffmpeg, and return it.

    A clip takes so many seconds, to half of one, and the first time what it really takes as well; `cache` has what
    came out. REPLAY_HALF_SECONDS in the environment has another duration.
    """
    script.write_text(
        _SCRIPT.replace("{ffmpeg}", imageio_ffmpeg.get_ffmpeg_exe())
        .replace("{cache}", str(cache))
        .replace("{half_seconds}", str(round(2 * seconds)))
    )
    script.chmod(stat.S_IRWXU)
    return script
