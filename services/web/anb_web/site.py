"""The site: pages for people, made of the same rules as the API's answers.

Gallery, ranking, players and videos are whole without JavaScript. What needs an account is done by the scripts in
`static`, which are clients of the API like any other.
"""

import hashlib
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
)
from jinja2 import StrictUndefined

from anb import search, texts, videos, voting
from anb.errors import NotFound
from anb.storage import MP4, processed_key, thumbnail_key
from anb_web import paging, public
from anb_web.caching import cached_response
from anb_web.dependencies import Dependencies, dependencies

bp = Blueprint("site", __name__)

VIDEOS_PER_PAGE = 12
PLACES_PER_PAGE = 20
PLACES_ON_FIRST_PAGE = 3
_SEARCH = {"buscar": "q", "ciudad": "city", "orden": "sort"}  # the gallery's parameters, and what the API calls them
CITIES_SUGGESTED = 200

_STATIC = Path(__file__).parent / "static"
# Not left to the machine's own table of types: with `nosniff`, a wrong one stops a script
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_LINK_KEPT_SECONDS = 300  # a signed link works for at least 600
_PLAYER_ID = re.compile(r"[1-9][0-9]{0,17}")
_FOREVER = "public, max-age=31536000, immutable"

# Who writes repeated slashes puts addresses together in a program, and is told as the API tells it
_API = re.compile(r"/api(/|\Z)|.*//")
_MONTHS = ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic")
# For pages, beside what every answer says of itself
_HEADERS = {
    "Cache-Control": "no-cache",  # a page may be shown again by the Back button, which `no-store` forbids
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def install(app: Flask) -> None:
    """Serve the pages, and show browsers as a page what the API tells clients in JSON."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.globals["static"] = lambda name: f"/static/{_version()}/{name}"
    app.jinja_env.filters |= {"day": _day, "thousands": _thousands, "initials": _initials}
    app.register_blueprint(bp)
    app.after_request(_error_as_page)


@bp.get("/")
@cached_response
def gallery() -> Response:
    cursor = request.args.get("cursor")
    after = search.Cursor.from_text(cursor) if cursor is not None else None
    wanted = public.requested_videos(request.args, words="buscar", city="ciudad", order="orden")
    items, following = public.page_of_videos(paging.Page(limit=VIDEOS_PER_PAGE, after=after), wanted)
    asked = {name: request.args[name] for name in _SEARCH if request.args.get(name)}
    of_api = {_SEARCH[name]: value for name, value in asked.items()}
    is_first = cursor is None
    with dependencies().engine.begin() as connection:
        places = voting.ranking(connection, limit=PLACES_ON_FIRST_PAGE) if is_first and not asked else []
        cities = voting.cities(connection, limit=CITIES_SUGGESTED) if is_first else []
    return _page(
        "gallery.html",
        items=items,
        following=f"/?{urlencode({**asked, 'cursor': following})}" if following else "",
        places=places,
        cities=cities,
        asked=asked,
        first=is_first,
        listed=_listed(limit=VIDEOS_PER_PAGE, **of_api, **({} if cursor is None else {"cursor": cursor})),
    )


@bp.get("/videos/<video_id>")
@cached_response
def video(video_id: str) -> Response:
    found = _published(video_id)
    return _page(
        "video.html",
        item=public.item(found),
        player_id=found.user_id,
        address=request.base_url,
        listed=_listed(limit=1, cursor=_right_before(found).to_text()),
    )


@bp.get("/videos/<video_id>/picture.jpg")
def picture(video_id: str) -> Response:
    """Lead to the picture, for those who keep an address for long: links to the store work for minutes."""
    found = _published(video_id)
    return _lead_to(thumbnail_key(found.id, found.attempt))


@bp.get("/videos/<video_id>/clip.mp4")
def clip(video_id: str) -> Response:
    """Lead to the clip."""
    found = _published(video_id)
    return _lead_to(processed_key(found.id, found.attempt))


@bp.get("/jugadores/<player_id>")
@cached_response
def player(player_id: str) -> Response:
    if not _PLAYER_ID.fullmatch(player_id):
        raise NotFound("Jugador no encontrado.")
    with dependencies().engine.begin() as connection:
        found = voting.find_player(connection, player_id=int(player_id))
        theirs = videos.list_published_by(connection, player_id=found.id, limit=paging.MAX_LIMIT)
    picture = f"{request.host_url}videos/{theirs[0].id}/picture.jpg" if theirs else ""
    return _page(
        "player.html",
        player=found,
        items=[public.item(each) for each in theirs],
        address=request.base_url,
        picture=picture,
        listed=_listed(limit=paging.MAX_LIMIT, q=found.username),
    )


@bp.get("/ranking")
@cached_response
def ranking() -> Response:
    number = paging.number(request.args, "pagina", maximum=public.MAX_PLACE_OFFSET)
    city = texts.folded(request.args.get("ciudad", ""))
    offset = (number - 1) * PLACES_PER_PAGE
    with dependencies().engine.begin() as connection:
        places = voting.ranking(connection, limit=PLACES_PER_PAGE + 1, offset=offset, city=city or None)
        cities = voting.cities(connection, limit=CITIES_SUGGESTED)
    return _page(
        "ranking.html",
        places=places[:PLACES_PER_PAGE],
        number=number,
        is_last=len(places) <= PLACES_PER_PAGE,
        city=city,
        cities=cities,
    )


@bp.get("/registro")
def sign_up() -> Response:
    return _page("sign_up.html")


@bp.get("/ingresar")
def log_in() -> Response:
    return _page("log_in.html")


@bp.get("/restablecer")
def reset_password() -> Response:
    return _page("reset_password.html")


@bp.get("/subir")
def upload() -> Response:
    return _page(
        "upload.html",
        largest_bytes=videos.MAX_BYTES,
        shortest_seconds=videos.MIN_SECONDS,
        longest_seconds=videos.MAX_SECONDS,
        seconds_tolerance=videos.SECONDS_TOLERANCE,
        smallest_side=videos.MIN_SIDE_PIXELS,
    )


@bp.get("/mis-videos")
def own_videos() -> Response:
    return _page("own_videos.html")


@bp.get("/static/<version>/<path:name>")
def static_file(version: str, name: str) -> Response:
    """Serve a file of the site; the address changes with the content, so that it can be kept for ever."""
    kind = _TYPES.get(Path(name).suffix)
    if kind is None:
        abort(404)
    response = send_from_directory(_STATIC, name, mimetype=kind)
    # While a fleet is being replaced, a page of the new release may ask the old one for its files
    response.headers["Cache-Control"] = _FOREVER if version == _version() else "no-store"
    return response


def _published(video_id: str) -> videos.Columns:
    with dependencies().engine.begin() as connection:
        return videos.find_published(connection, video_id=videos.parse_id(video_id))


def _listed(**asked: object) -> str:
    """Return where the API lists a page's videos, for the scripts to learn there which of them got one's vote."""
    return f"/api/public/videos?{urlencode(asked)}"


def _right_before(video: videos.Columns) -> search.Cursor:
    """Return the place in the list of all videos after which this one comes."""
    return search.Cursor(video.processed_at, UUID(int=video.id.int + 1))


def _lead_to(key: str) -> Response:
    response = make_response(redirect(dependencies().storage.published_link(key), code=302))
    response.headers["Cache-Control"] = f"public, max-age={_LINK_KEPT_SECONDS}"
    return response


@cache
def _version() -> str:
    """Return a name for what the static files hold, all of them: the scripts import each other by relative names."""
    content = hashlib.sha256()
    for file in sorted(path for path in _STATIC.rglob("*") if path.suffix in _TYPES):
        content.update(f"{file.relative_to(_STATIC)}\0{file.stat().st_size}\0".encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


def _page(template: str, **values: object) -> Response:
    response = make_response(render_template(template, **values))
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = _policy(" ".join(_store_origins(dependencies())))
    return response


def _policy(store: str) -> str:
    """Return what a page may load and where it may send: this server, and the object store at its origins."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            f"img-src 'self' {store}",
            f"media-src 'self' blob: {store}",  # blob: shows a video before it is uploaded
            f"connect-src 'self' {store}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


@cache
def _store_origins(needed: Dependencies) -> list[str]:
    """Return where links and upload forms lead; signing says it, whatever the region, bucket and endpoint."""
    form = needed.storage.upload_form("origin", content_type=MP4, size_bytes=1)
    links = (needed.storage.link("origin"), needed.storage.published_link("origin"))
    addresses = (urlsplit(url) for url in (*links, form.url))
    return sorted({f"{address.scheme}://{address.netloc}" for address in addresses})


def _error_as_page(response: Response) -> Response:
    """Let a browser that asked for a page show the sentence which the error's JSON holds."""
    if response.status_code < 400 or request.blueprint not in {None, bp.name}:
        return response
    if _API.match(request.environ["PATH_INFO"]):
        return response
    response.vary.add("Accept")
    if not response.is_json or request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return response
    message = response.get_json()["message"]
    response.set_data(render_template("error.html", status=response.status_code, message=message))
    response.content_type = "text/html; charset=utf-8"
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = _policy("")  # signing may be what failed
    return response


def _day(time: str) -> str:
    """Return the day of a time as the API writes it: 24 nov 2026."""
    day = datetime.fromisoformat(time)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _initials(name: str) -> str:
    words = name.split()
    return "".join(_first_letter(word) for word in (words[0], words[-1])[: len(words)]).upper()


def _first_letter(word: str) -> str:
    return next((character for character in word if character.isalpha()), word[0])
