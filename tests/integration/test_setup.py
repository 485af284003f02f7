"""What the first command says where it cannot do its work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HANGS_AFTER_SECONDS = 20  # it takes 2; a busy machine, more


def test_without_network_the_first_run_says_so_in_one_sentence_soon(tmp_path):
    shutil.copytree(ROOT / "local", tmp_path / "local")
    nowhere = "http://127.0.0.1:9"  # the port of `discard`, which refuses
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))} | {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), nowhere),
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
    }

    done = subprocess.run(
        [sys.executable, "-m", "local.venv", ".venv", "local/emulator.txt"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_SECONDS,
    )

    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "still fetching" not in line] == [
        "setup: local/emulator.txt -> .venv",
        (
            "setup: the packages cannot be fetched, because nothing answers on the network; "
            "the first run needs it, later ones do not"
        ),
    ]
