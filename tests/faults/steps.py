"""The steps at which a process may die, and what each scenario may take for granted about them.

A step is the crossing of a boundary: a method of a port, the commit of a transaction that one function of the
product prepares, or the work itself. `tests/unit/test_fault_steps.py` compares these lists with the product's code,
so that a new boundary cannot be forgotten.
"""

# Ports: what each method changes for somebody else. A step has a side: before or after the crossing.
STORAGE_STEPS = ("put", "download", "open", "copy", "remove", "delete", "upload_form")
STORAGE_HARMLESS = {
    "link": "signs without asking anybody",
    "published_link": "the same",
    "ping": "asks and changes nothing",
    "size_bytes": "the same",
}
JOBS_STEPS = ("send", "receive", "change_visibility", "delete", "backlog")
JOBS_HARMLESS = {"ping": "asks and changes nothing"}

# Transactions, by the function that fills them
COMMITS = {
    "anb.lifecycle": (
        *("reserve", "mark_uploaded", "mark_enqueued", "refuse", "delete_own"),
        *("claim", "extend_lease", "finish", "give_up", "release"),
    ),
    "anb.relay": ("relay",),
    "anb.voting": ("cast_vote", "tally"),
    "anb.vote_reviews": ("void", "release", "restore"),
}
COMMITS_ELSEWHERE = {
    "anb.accounts": "accounts are no part of the promise",
    "anb.abuse_limits": "shares the transaction of cast_vote, or is no part of the promise",
    "anb.vote_reviews.begin_voiding": "a note about what follows",
    "anb.vote_reviews.voided": "reads",
    "anb.throttle": "failed logins are no part of the promise",
    "anb.voting.audit": "reads",
    "anb.voting.recount": "an operator's repair of a counter, which says the same however often it is made",
    "anb.search.enter": "shares the transaction of finish",
    "anb.search.enter_missed": "is found again until it is done",
    "anb.search.note_votes": "shares the transaction of tally or recount",
    "anb.search.choose": "reads",
    "anb.videos.votes_of": "reads",
    "anb.upload_limits.check": "shares the transaction of reserve",
    "anb.voting.void_votes": "shares the transaction of take_down or delete_all",
    "anb.voting.withdraw_votes": "shares the transaction of erasure.finish",
    "anb.lifecycle.take_down": "an operator's decision, which can be repeated",
    "anb.lifecycle.retry": "the same; the relay sends the job for the row",
    "anb.lifecycle.delete_all": "a step of an erasure, which goes on where it was interrupted",
    "anb.lifecycle.purge_all": "shares the transaction of erasure.finish",
    "anb.erasure": "goes on where it was interrupted",
    "anb.lifecycle.mark_enqueued_again": "shares the transaction of relay",
    "anb.lifecycle.purgeable": "reads",
    "anb.lifecycle.purge": "an operator's removal of what is over, which is complete or is found again",
    "anb.videos.find_uploaded_by_key": "reads",
    "anb.videos.find_own_in_any_state": "reads",
    "anb.videos.find_own": "reads",
    "anb.videos.list_own": "reads",
    "anb.videos.public_page": "reads",
    "anb.videos.find_published": "reads",
    "anb.videos.list_published_by": "reads",
    "anb.voting.enter_standings": "shares the transaction of finish",
    "anb.voting.ranking": "reads",
    "anb.voting.find_player": "reads",
    "anb.voting.cities": "reads",
}

PROCESS_SIDES = ("before", "during", "after")
SIDES = ("before", "after")


def commit(name: str) -> str:
    """The step at which the transaction that the function prepared is committed."""
    return f"commit.{name}"


def all_steps() -> list[tuple[str, str]]:
    """Every step and side at which the sweeps let a process die."""
    names = [f"storage.{name}" for name in STORAGE_STEPS]
    names += [f"jobs.{name}" for name in JOBS_STEPS]
    names += [commit(name) for functions in COMMITS.values() for name in functions]
    return [(name, side) for name in names for side in SIDES] + [("process", side) for side in PROCESS_SIDES]
