"""The video workers of ANB Rising Stars."""
