"""Why the twin does not go on: something in the templates is nothing that it knows how to act on."""


class Refused(Exception):
    """A resource, a property or a function that nothing here implements; the sentence names it."""
