"""The application's composition."""

import os
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from anb import logs, videos
from anb_web import (
    auth,
    auth_request,
    bodies,
    bulkheads,
    cors,
    docs,
    errors,
    health,
    middleware,
    public,
    site,
    tokens,
    uploads,
)
from anb_web import videos as own_videos
from anb_web.dependencies import Dependencies
from anb_web.middleware import IdsAndHeaders
from anb_web.raw_targets import RawTargets
from anb_web.settings import WebSettings

_FORM_OVERHEAD_BYTES = 64 * 1024  # what a multipart body may hold beside its file


class _SynchronousFlask(Flask):
    """Flask without coroutines, for which it would look at every view and hook of a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: WebSettings | None = None, *, dependencies: Dependencies | None = None) -> Flask:
    """Return the WSGI application; without settings it reads the environment.

    Raises SettingsError, which names everything that is missing.
    """
    settings = settings or WebSettings.from_environment(os.environ)
    logs.configure(service="web")
    app = _SynchronousFlask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined] # the default provider has it
    app.json.ensure_ascii = False  # type: ignore[attr-defined] # the same
    # A slash at the end names the same resource; two in a row name none
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.config.update(MAX_CONTENT_LENGTH=videos.MAX_BYTES + _FORM_OVERHEAD_BYTES, MAX_FORM_PARTS=20)
    # nginx in front of us tells the client's address and scheme, and what gunicorn would not let through
    handler = RawTargets(ProxyFix(IdsAndHeaders(app.wsgi_app), x_for=1, x_proto=1))
    app.wsgi_app = handler  # type: ignore[method-assign] # Flask's documented way
    (dependencies or Dependencies.from_settings(settings)).attach(app)
    tokens.install(app, secret=settings.jwt_secret, previous_secret=settings.jwt_previous_secret)
    middleware.install(app)
    bulkheads.install(app)
    bodies.install(app)
    errors.install(app)
    cors.install(app, origins=settings.allowed_origins)
    app.url_map.converters["video_id"] = own_videos.VideoId
    for blueprint in (auth.bp, auth_request.bp, own_videos.bp, uploads.bp, public.bp, health.bp, docs.bp):
        app.register_blueprint(blueprint)
    site.install(app)
    return app
