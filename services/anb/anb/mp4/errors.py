"""Why a file is refused; what several readers may find is said here once."""

from typing import Final

from anb.errors import Invalid

TRUNCATED: Final = "El video está incompleto: el archivo termina antes de tiempo."
DAMAGED: Final = "El video está dañado: su índice no se puede leer."
NO_VIDEO: Final = "El archivo no contiene video."
TOO_COMPLEX: Final = "El índice del video es demasiado grande."


class UnreadableClip(Invalid):
    """The file is not a whole H.264 or HEVC video in MP4, or is built to hurt whoever decodes it."""
