"""The HTTP API of ANB Rising Stars."""

from anb_web.app import create_app

__all__ = ["create_app"]
