"""ANB Rising Stars: what the web tier and the workers must agree on."""
