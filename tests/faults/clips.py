"""What the players of the scenarios upload: clips that are accepted and cost little."""

import subprocess
from pathlib import Path

import imageio_ffmpeg


def make_clip(path: Path, *, side_pixels: int = 1080) -> Path:
    """A still picture for 20 seconds: processed, it has 600 frames and the bumpers' 150."""
    picture = f"testsrc2=size={side_pixels}x{side_pixels}:rate=1:duration=1,loop=loop=-1:size=1"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture),
            *(
                "-t",
                "20",
                "-r",
                "1",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
                f"file:{path}",
            ),
        ],
        check=True,
        timeout=120,
    )
    return path


def make_bad_clip(path: Path, good: Path) -> Path:
    """A clip whose index is fine and whose pictures are garbage: accepted, and then failed with a reason."""
    content = good.read_bytes()
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    path.write_bytes(content[:start] + b"\xff" * (end - start) + content[end:])
    return path
