"""Files and requests that overtake each other: what was checked must be what is processed, kept and shown."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from local.emulator import BUCKET
from tests.faults.clients import Clients
from tests.faults.oracle import Verdict
from tests.faults.stage import Stage


def completed_twice(stage: Stage) -> None:
    """Two requests complete the same reservation at once, with another file posted between their looks."""
    clients = stage.begin(workers=0)
    first, second = _files(stage.clip, stage.clip)
    forms, wrong = {}, []
    for step, side in (("storage.copy", "before"), ("storage.copy", "after")):
        form = clients.begin(first)
        with _held(stage, clients, form, step, side) as held:
            clients.post(form, second)
            clients.accepted(clients.complete(form))
        if held.result().status_code != 201:
            wrong.append(f"the request that was held at {step} {side}: {held.result().text}")
        forms[f"{step} {side}"] = form
    clients.history.fault()
    stage.start(stage.workers)
    verdict = stage.end(
        "a reservation is completed twice while it is copied", clients, runs=len(forms), orphans=False
    )
    verdict.problems += wrong
    for moment, form in forms.items():
        _compare(stage, verdict, form, second, f"completed twice, the first held at {moment}")


def killed_between_copy_and_commit(stage: Stage) -> None:
    """The web process dies when the copy is made and not accepted; what it leaves is the janitor's."""
    clients = stage.begin(workers=0)
    content = stage.clip.read_bytes()
    forms = []
    for step, side in (
        ("storage.copy", "after"),
        ("commit.mark_uploaded", "before"),
        ("commit.mark_uploaded", "after"),
    ):
        form = clients.begin(content)
        order = stage.world.order(step, side, role="web", video=form["video_id"])
        clients.accepted(clients.complete(form))
        stage.await_orders([order])
        forms.append(form)
    clients.history.fault()
    stage.start(stage.workers)
    verdict = stage.end("killed between copy and commit", clients, runs=len(forms), answers_cut=True)
    left = {form["video_id"]: _copies(stage, form) for form in forms}
    if sorted(map(len, left.values())) != [1, 2, 2]:
        verdict.problems.append(f"the deaths left {left}")
    stage.world.ops("janitor", "--delete", "--force")
    for form in forms:
        _compare(stage, verdict, form, content, "after the janitor")


def posted_during_complete(stage: Stage) -> None:
    """Another file is posted while the first is looked at: neither is accepted, and nothing that nobody checked."""
    clients = stage.begin(workers=0)
    good, bad = _files(stage.clip, stage.small_clip)
    wrong = []
    for step, side in (("storage.open", "after"), ("storage.copy", "before")):
        form = clients.begin(good)
        with _held(stage, clients, form, step, side) as held:
            clients.post(form, bad)
        if "cambió" not in held.result().text:
            wrong.append(f"posted at {step} {side}: {held.result().text}")
            continue
        if copies := _copies(stage, form):
            wrong.append(f"posted at {step} {side}: it left {copies}")
        clients.complete(form, final=[400])  # of the bad file, which ends the reservation
        clients.post(form, good)
        clients.complete(form, final=[400])
    form = clients.begin(good)
    with _held(stage, clients, form, "storage.copy", "after") as held:
        clients.post(form, bad)
    clients.accepted(held.result())
    clients.history.fault()
    stage.start(stage.workers)
    verdict = stage.end("another file is posted during complete", clients, runs=3)
    verdict.problems += wrong
    _compare(stage, verdict, form, good, "posted after the copy")
    _clean(stage, verdict)


def posted_after_complete(stage: Stage) -> None:
    """Another file is posted before the worker reads, after the publication and after a deletion."""
    clients = stage.begin(workers=0)
    good, bad = _files(stage.clip, stage.small_clip)
    form, deleted = clients.begin(good), clients.begin(good)
    for each in (form, deleted):
        clients.accepted(clients.complete(each))
        clients.post(each, bad)
    clients.delete(deleted["video_id"])
    clients.post(deleted, bad)
    clients.complete(form)
    stage.start(stage.workers)
    stage.await_status(form["video_id"], "processed")
    clients.post(form, bad)
    clients.history.fault()
    verdict = stage.end("another file is posted after complete", clients, runs=4)
    _compare(stage, verdict, form, good, "posted after complete")
    _clean(stage, verdict)


def _clean(stage: Stage, verdict: Verdict) -> None:
    """Fail unless the janitor removes all that was posted to forms of uploads that are over."""
    stage.world.ops("janitor", "--delete", "--force")
    if left := _below(stage, "incoming/"):
        verdict.problems.append(f"the janitor left {left}")


def _files(one: Path, other: Path) -> list[bytes]:
    """Two different files of the same size, which is what a form demands."""
    contents = [one.read_bytes(), other.read_bytes()]
    size = max(map(len, contents)) + 16
    return [_padded(content, size, bytes([number])) for number, content in enumerate(contents)]


def _padded(content: bytes, size: int, filler: bytes) -> bytes:
    """The clip with a box behind it that players skip."""
    free = size - len(content)
    return content + free.to_bytes(4) + b"free" + filler * (free - 8)


@contextmanager
def _held(
    stage: Stage, clients: Clients, form: dict[str, Any], step: str, side: str
) -> Iterator[Future[requests.Response]]:
    """Complete, and hold that request at a step for as long as the block takes."""
    gate = f"gate-{form['video_id']}"
    order = stage.world.order(step, side, role="web", video=form["video_id"], action="hold", gate=gate)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(clients.complete, form, final=(201, 400))
        try:
            stage.await_orders([order], seconds=30)
            yield held
        finally:
            stage.world.open_gate(gate)


def _copies(stage: Stage, form: dict[str, Any]) -> list[str]:
    return _below(stage, f"uploads/{form['video_id']}/")


def _below(stage: Stage, prefix: str) -> list[str]:
    return sorted(key for key in stage.world.keys() if key.startswith(prefix))  # noqa: SIM118 it is no dictionary


def _compare(stage: Stage, verdict: Verdict, form: dict[str, Any], content: bytes, what: str) -> None:
    """Fail unless the accepted source is this one, and the only copy."""
    source = stage.source(form["video_id"])
    if (copies := _copies(stage, form)) != [source]:
        verdict.problems.append(f"{what}: {source} was accepted, and there are {copies}")
    elif stage.world.s3.get_object(Bucket=BUCKET, Key=source)["Body"].read() != content:
        verdict.problems.append(f"{what}: the source is not the file that was accepted")
