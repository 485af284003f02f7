"""Which spellings of an e-mail address reach the same mailbox."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Provider:
    """What a provider of mailboxes makes of the part before the @: what follows a + is a tag that names no other."""

    ignores_dots: bool = False
    domain: str = ""  # where several of them are the same, the one that stands for all


# By what each says itself. Who is not here may give a.b and ab to two people, and so is taken at their word
PROVIDERS: Mapping[str, Provider] = {
    # https://support.google.com/mail/answer/7436150 and https://support.google.com/mail/answer/22370
    "gmail.com": Provider(ignores_dots=True),
    "googlemail.com": Provider(ignores_dots=True, domain="gmail.com"),
    # https://support.microsoft.com/office/adding-or-removing-an-email-alias-in-outlook-com
    "outlook.com": Provider(),
    "outlook.es": Provider(),
    "hotmail.com": Provider(),
    "hotmail.es": Provider(),
    "live.com": Provider(),
    "msn.com": Provider(),
    # https://support.apple.com/guide/icloud/mm6b1a490a
    "icloud.com": Provider(),
    "me.com": Provider(),
    "mac.com": Provider(),
    # https://proton.me/support/creating-aliases
    "proton.me": Provider(),
    "protonmail.com": Provider(),
    "pm.me": Provider(),
    # https://www.fastmail.help/hc/en-us/articles/360060591053
    "fastmail.com": Provider(),
}


def canonical(email: str) -> str:
    """Return the one spelling that stands for all that reach the mailbox: small letters, without dots and tags.

    Dots and tags go only where the provider ignores them.
    """
    mailbox, _, domain = email.strip().lower().rpartition("@")
    provider = PROVIDERS.get(domain)
    if provider is None:
        return f"{mailbox}@{domain}"
    bare = mailbox.partition("+")[0] or mailbox
    if provider.ignores_dots:
        bare = bare.replace(".", "") or bare
    return f"{bare}@{provider.domain or domain}"
