"""The site in a real browser: the whole journey, its accidents, and what every page owes its visitors.

Screenshots of every page, wide and narrow, land in `build/site`.
"""

import io
import json
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import CDPSession, Page, expect, sync_playwright

from local import packages
from local.errors import ProgramMissing
from local.tcp_proxy import TcpProxy
from tests.media import ffmpeg
from tests.people import PASSWORD, registration
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "site"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PHONE = {"viewport": NARROW, "is_mobile": True, "has_touch": True}
PAGES = {
    "videos": "/",
    "ranking": "/ranking",
    "registro": "/registro",
    "ingresar": "/ingresar",
    "restablecer": "/restablecer",
}
OWN_PAGES = {"subir": "/subir", "mis-videos": "/mis-videos"}
LARGEST_PAGE_BYTES = 150_000
AXE = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
FAR_FUTURE = 4_102_444_800_000  # milliseconds

PLAYERS = (
    ("Valentina", "Rojas", "Medellín", "Crossover y bandeja zurda", 1530),
    ("Mateo", "Quiñones", "Buenaventura", "Clavada en contragolpe", 1204),
    ("Samuel", "Ibargüen", "Quibdó", "Triples desde la esquina", 987),
    ("Luciana", "Peñaranda", "Cúcuta", "Pases sin mirar", 641),
    ("Juan José", "De la Hoz", "Barranquilla", "Defensa y robo de balón en toda la cancha", 598),
    ("Isabella", "Muñoz", "Cali", "Eurostep paso a paso", 433),
    ("Tomás", "Herrera", "Bogotá", "Gancho con las dos manos", 310),
    ("Salomé", "Arango", "Medellín", "Tiro en suspensión", 87),
)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, wherever it comes from."""
    try:
        chromium = packages.find("chromium")["chromium"]
    except ProgramMissing as reason:
        pytest.skip(str(reason))
    with pytest.MonkeyPatch.context() as patch:
        # The Node.js that the driver brings wants a library that a bare Debian lacks; our environment's does not
        patch.setenv("PLAYWRIGHT_NODEJS_PATH", str(Path(sys.executable).with_name("node")))
        yield from launched(chromium)


def launched(chromium):
    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path,
            env={**chromium.environment},
            args=[f"--{flag}" for flag in (*flags.split(), "disable-sync", "no-proxy-server")],
        )
        yield browser
        browser.close()


@dataclass
class Visit:
    """A visitor's browser window, and what went wrong in it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    _devtools: CDPSession | None = None

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_up(self, *, then: str = "/", **values: str) -> str:
        """Fill in the form; return the e-mail address."""
        account = registration(**values)
        self.open(f"/registro?volver={then}")
        for name, value in account.items():
            self.page.fill(f"#{name}", value)
        self.page.click("text=Crear mi cuenta")
        self.page.wait_for_url(self.url + then)
        return account["email"]

    def log_in(self, email: str) -> None:
        """Fill in the form that is on the screen."""
        self.page.fill("#email", email)
        self.page.fill("#password", PASSWORD)
        self.page.press("#password", "Enter")

    def enter_as(self, player) -> None:
        """Have the player's session from the first page on."""
        session = {"token": player.headers["Authorization"].removeprefix("Bearer "), "ends": FAR_FUTURE}
        self.page.add_init_script(f"sessionStorage.setItem('anb.session', {json.dumps(json.dumps(session))})")

    def choose(self, clip: Path, *, title: str) -> None:
        self.open("/subir")
        self.page.fill("#title", title)
        self.page.set_input_files("#video_file", clip)

    def wait_until(self, condition: str) -> None:
        """Wait for a condition in JavaScript; the browser's own way to wait is forbidden by our policy."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"not within 20 s: {condition}"
            self.page.wait_for_timeout(50)

    def limit_upload(self, *, bytes_per_second: float) -> None:
        """Make the way up as slow as a phone's; -1 lifts the limit."""
        self._devtools = self._devtools or self.page.context.new_cdp_session(self.page)
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        self._devtools.send("Network.emulateNetworkConditions", limits)

    def row(self, title: str):
        return self.page.locator(".own-video", has_text=title)

    def card(self, title: str):
        return self.page.locator(".card", has_text=title)


@pytest.fixture(scope="module")
def opened(browser, system):
    """Open windows; each has to end without an error in its console."""

    @contextmanager
    def open_window(**options):
        context = browser.new_context(
            **{"viewport": WIDE, "locale": "es-CO", "timezone_id": "America/Bogota", **options}
        )
        context.set_default_timeout(20_000)
        visit = Visit(context.new_page(), system.url)
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda line: visit.complaints.append(line.text) if _complains(line) else None)
        yield visit
        context.close()
        assert visit.complaints == []

    return open_window


def _complains(line):
    # An answer of 400 or a cut connection, which a test may want, is logged by the browser itself
    return line.type in {"error", "warning"} and not line.text.startswith("Failed to load resource")


@pytest.fixture
def visit(opened, request):
    with opened(**getattr(request, "param", {})) as visit:
        yield visit


ON_DESKTOP_AND_PHONE = pytest.mark.parametrize("visit", [{}, PHONE], ids=["desktop", "phone"], indirect=True)


@pytest.fixture(scope="module")
def published(opened, clips):
    """The one video that goes the whole way, by a player who signed up on the site."""
    with opened() as visit:
        email = visit.sign_up(then="/subir", first_name="Camila", last_name="Torres", city="Cartagena")
        visit.limit_upload(bytes_per_second=clips["good"].stat().st_size / 20)
        visit.choose(clips["good"], title="Triple sobre la bocina")
        expect(visit.page.locator("#video_file-facts")).to_contain_text("21,0 s · 1920x1080")
        visit.page.click("button:has-text('Subir video')")
        visit.wait_until("(bar => bar.value > 10 && bar.value < 90)(document.querySelector('#progress'))")
        visit.page.screenshot(path=_picture("subiendo", WIDE))
        visit.limit_upload(bytes_per_second=-1)
        visit.page.wait_for_url("**/mis-videos")
        expect(visit.page.locator("#toast")).to_have_text("Video subido correctamente. Procesamiento en curso.")
        row = visit.row("Triple sobre la bocina")
        expect(row.locator(".chip")).to_have_text("En proceso")
        visit.page.screenshot(path=_picture("en-proceso", WIDE))
        # Nobody reloads the page
        expect(row.locator(".chip")).to_have_text("Procesado", timeout=180_000)
        expect(visit.page.locator("#news")).to_have_text("«Triple sobre la bocina»: Procesado.")
        expect(row.locator("[data-delete]")).to_be_hidden()
    return email


@pytest.fixture(scope="module")
def league(system, published):  # noqa: ARG001 the video that the others are made of
    """More players and videos, made of the published one's."""
    s3 = boto3.session.Session("test", "test", region_name="us-east-1").client(
        "s3", endpoint_url=system.emulator.endpoint
    )
    bucket = system.environment["ANB_MEDIA_BUCKET"]
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, user_id FROM anb.videos WHERE title = 'Triple sobre la bocina'")
        source, player = cursor.fetchone()
        thumbnail = s3.get_object(Bucket=bucket, Key=f"thumbnails/{_dashed(source)}/1.jpg")["Body"].read()
        cursor.execute("UPDATE anb.videos SET votes = 1311 WHERE id = %s", (source,))
        cursor.execute("UPDATE anb.standings SET votes = 1311 WHERE user_id = %s", (player,))
        for number, (first_name, last_name, city, title, votes) in enumerate(PLAYERS):
            video = uuid4()
            cursor.execute(
                "INSERT INTO anb.users (email, first_name, last_name, city, country, password_hash)"
                " VALUES (%s, %s, %s, %s, 'Colombia', '')",
                (f"{video.hex}@example.com", first_name, last_name, city),
            )
            owner = cursor.lastrowid
            cursor.execute(
                "INSERT INTO anb.videos"
                " (id, user_id, title, city, status, request_id, attempt, uploaded_at, processed_at, votes)"
                " VALUES (%s, %s, %s, %s, 'processed', 'test-request', 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), %s)",
                (video.hex, owner, title, city, votes),
            )
            cursor.execute(
                "INSERT INTO anb.standings (user_id, city, votes) VALUES (%s, %s, %s)", (owner, city, votes)
            )
            s3.copy_object(
                Bucket=bucket,
                Key=f"processed/{video}/1.mp4",
                CopySource={"Bucket": bucket, "Key": f"processed/{_dashed(source)}/1.mp4"},
            )
            s3.put_object(Bucket=bucket, Key=f"thumbnails/{video}/1.jpg", Body=_another(thumbnail, number))
        connection.commit()
    s3.close()


def _dashed(text):
    return re.sub(r"^(.{8})(.{4})(.{4})(.{4})", r"\1-\2-\3-\4-", text)


def _another(thumbnail, number):
    """Return the picture as if somebody else had stood elsewhere."""
    picture = Image.open(io.BytesIO(thumbnail)).convert("HSV")
    hue, saturation, value = picture.split()
    picture = Image.merge("HSV", (hue.point(lambda h: (h + 2 * number) % 256), saturation, value)).convert("RGB")
    width, height = picture.size
    shift = number * width // 40
    picture = picture.crop((shift, height // 9, shift + width * 2 // 3, height // 9 + height * 2 // 3))
    picture = ImageEnhance.Brightness(ImageOps.mirror(picture) if number % 2 else picture).enhance(1.1)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def _draw(page, name, size):
    """Take a picture of the whole page, bars that stick to the window's edges at its edges."""
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({**size, "height": max(height, size["height"])})
    page.screenshot(path=_picture(name, size))
    page.set_viewport_size(size)


def _picture(name, size):
    PICTURES.mkdir(parents=True, exist_ok=True)
    return PICTURES / f"{name}-{size['width']}.png"


# The journey


@pytest.mark.usefixtures("published")
def test_a_video_goes_from_the_form_to_the_gallery_where_it_plays(visit):
    visit.open("/")
    card = visit.card("Triple sobre la bocina")
    expect(card).to_contain_text("Camila Torres")

    card.locator(".play").click()

    visit.wait_until("document.querySelector('.card video').currentTime > 0.2")
    visit.page.screenshot(path=_picture("reproduciendo", WIDE))


@pytest.mark.usefixtures("published")
def test_a_vote_counts_once_and_moves_the_ranking(visit):
    visit.open("/")
    visit.card("Triple sobre la bocina").locator("[data-vote]").click()
    visit.page.wait_for_url("**/ingresar?**")
    expect(visit.page.locator("[data-reason]")).to_contain_text("Para votar")
    visit.page.click("main a:has-text('Crea tu cuenta')")
    visit.sign_up(then="/")
    card = visit.card("Triple sobre la bocina")

    card.locator("[data-vote]").click()
    expect(card.locator(".note")).to_have_text("Voto registrado exitosamente.")
    expect(card.locator(".votes")).to_have_text("1 voto")
    card.locator("[data-vote]").click()
    expect(card.locator(".note")).to_have_text("Ya has votado por este video.")
    visit.page.screenshot(path=_picture("segundo-voto", WIDE))

    url = f"{visit.url}/api/public/rankings?city=cartagena"
    until(lambda: requests.get(url, timeout=30).json()[0]["votes"] == 1, seconds=10)
    visit.open("/ranking")
    visit.page.fill("#ciudad", "CARTAGENA")
    visit.page.click("button:has-text('Filtrar')")
    expect(visit.page.locator(".step-1")).to_contain_text("Camila Torres")
    expect(visit.page.locator(".step-1")).to_contain_text("1 voto")
    visit.page.fill("#ciudad", "Leticia")
    visit.page.press("#ciudad", "Enter")
    expect(visit.page.locator(".empty h2")).to_have_text("Nadie de Leticia por ahora")


@pytest.mark.usefixtures("league")
def test_what_got_ones_vote_is_known_after_a_new_login(visit, make_player):
    voter = make_player()
    newest = requests.get(f"{visit.url}/api/public/videos", timeout=30).json()[0]["video_id"]
    assert voter.send("POST", f"/api/public/videos/{newest}/vote").status_code == 200
    visit.enter_as(voter)

    for path in ("/", f"/videos/{newest}", _path_of(visit, "/jugadores/", of=f"/videos/{newest}")):
        visit.open(path)
        expect(visit.page.locator(f"[data-video='{newest}'] [data-label]")).to_have_text("Votado")


def test_who_logs_out_can_log_in_again(visit, published):
    visit.open("/ingresar")
    visit.log_in(published)
    visit.page.click("text=Salir")
    expect(visit.page.locator("#toast")).to_have_text("Cerraste tu sesión.")

    visit.open("/mis-videos")
    visit.page.wait_for_url("**/ingresar?**")
    visit.log_in(published.upper())

    visit.page.wait_for_url("**/mis-videos")
    expect(visit.row("Triple sobre la bocina")).to_be_visible()


def test_who_was_given_a_link_chooses_a_new_password(visit, system):
    email, token = visit.sign_up(), "a-token-that-an-operator-made"
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO anb.password_resets SELECT id, SHA2(%s, 256), UTC_TIMESTAMP() + INTERVAL 1 MINUTE "
            "FROM anb.users WHERE email = %s",
            (token, email),
        )
    visit.page.click("text=Salir")

    visit.open(f"/restablecer#{token}")
    assert token not in visit.page.url
    visit.page.fill("#password1", "OtraClave123")
    visit.page.fill("#password2", "OtraClave123")
    visit.page.click("text=Guardar la contraseña")

    visit.page.wait_for_url("**/ingresar")
    expect(visit.page.locator("#toast")).to_have_text("Tu contraseña nueva está lista. Ingresa con ella.")
    visit.page.fill("#email", email)
    visit.page.fill("#password", "OtraClave123")
    visit.page.press("#password", "Enter")
    visit.page.wait_for_url(visit.url + "/")


@ON_DESKTOP_AND_PHONE
def test_a_link_for_a_new_password_that_does_not_count_is_answered_with_a_sentence(visit):
    visit.open("/restablecer")
    expect(visit.page.locator("[data-reason]")).to_have_text(
        "Falta el enlace: abre esta página desde el que recibiste."
    )

    visit.open("/")
    visit.open("/restablecer#invented")
    visit.page.fill("#password1", "OtraClave123")
    visit.page.click("text=Guardar la contraseña")
    expect(visit.page.locator("#password2-wrong")).to_have_text("Este campo es obligatorio.")
    visit.page.fill("#password2", "OtraClave123")
    visit.page.check("[data-show-passwords]")
    expect(visit.page.locator("#password2")).to_have_attribute("type", "text")
    visit.page.click("text=Guardar la contraseña")

    expect(visit.page.locator("form [role=alert]")).to_have_text(
        "El enlace no es válido o ya venció. Pide uno nuevo."
    )


def test_a_video_is_shared_by_its_page_and_opened_by_its_link(visit, published, league):  # noqa: ARG001 other players
    visit.open("/")
    visit.card("Triple sobre la bocina").locator(".title").click()
    visit.page.wait_for_url("**/videos/*")
    visit.page.evaluate("navigator.share = (shared) => { window.shared = shared; return Promise.resolve(); }")
    visit.page.click("[data-share]")
    visit.wait_until("window.shared !== undefined")
    link = visit.page.evaluate("window.shared.url")

    visit.page.goto(link)
    expect(visit.page.locator("h1")).to_have_text("Triple sobre la bocina")
    card = {"User-Agent": "facebookexternalhit/1.1"}
    (picture,) = re.findall(r'og:image" content="([^"]+)"', requests.get(link, headers=card, timeout=30).text)
    assert Image.open(io.BytesIO(requests.get(picture, timeout=30).content)).size == (640, 360)
    visit.page.locator(".play").click()
    visit.wait_until("document.querySelector('.card video').currentTime > 0.2")
    visit.page.click("text=Camila Torres")
    visit.page.wait_for_url("**/jugadores/*")
    expect(visit.card("Triple sobre la bocina")).to_be_visible()


@ON_DESKTOP_AND_PHONE
@pytest.mark.usefixtures("league")
def test_videos_are_searched_and_sorted_and_back_leads_to_where_one_was(visit):
    visit.open("/")
    visit.page.fill("#buscar", "TRÍPLE bocina")
    visit.page.press("#buscar", "Enter")
    expect(visit.page.locator(".card h3")).to_have_text(["Triple sobre la bocina"])
    visit.page.fill("#buscar", "")
    visit.page.select_option("#orden", "votes")
    visit.page.click(".find button")
    expect(visit.page.locator("h1")).to_have_text("Los más votados")
    expect(visit.page.locator(".card h3").first).to_have_text("Crossover y bandeja zurda")

    visit.page.locator(".card .title").last.click()
    visit.page.wait_for_url("**/videos/*")
    visit.page.go_back()

    expect(visit.page.locator("#orden")).to_have_value("votes")
    visit.wait_until("scrollY > 0")
    visit.page.fill("#buscar", "nadie la tiene")
    visit.page.press("#buscar", "Enter")
    expect(visit.page.locator(".empty h2")).to_have_text("No encontramos videos así")


@ON_DESKTOP_AND_PHONE
@pytest.mark.usefixtures("league")
def test_back_shows_again_what_was_loaded(visit, system):
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO anb.videos (id, user_id, title, status, request_id, attempt, uploaded_at, processed_at)"
            " SELECT REPLACE(UUID(), '-', ''), MIN(id), CONCAT('Relleno ', seq), 'processed', 'filler', 1,"
            " '2020-01-01', '2020-01-01' FROM anb.users, anb.seq_1_to_15 GROUP BY seq"
        )
        connection.commit()
    try:
        until(lambda: "cursor=" in requests.get(visit.url, timeout=30).text)
        visit.open("/")
        visit.page.click("#more")
        expect(visit.page.locator(".card")).to_have_count(24)
        visit.page.locator(".card .title").nth(20).click()
        visit.page.wait_for_url("**/videos/*")
        visit.page.go_back()

        expect(visit.page.locator(".card")).to_have_count(24)
        visit.wait_until("scrollY > 500")
    finally:
        with system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM anb.videos WHERE request_id = 'filler'")
            connection.commit()


def test_open_tabs_share_who_is_signed_in(opened, published):
    with opened() as visit:
        first = visit.open("/ingresar")
        visit.log_in(published)
        first.wait_for_url(f"{visit.url}/")
        second = visit.page.context.new_page()

        second.goto(visit.url + "/mis-videos")
        expect(second.locator(".own-video", has_text="Triple sobre la bocina")).to_be_visible()
        expect(second.locator("[data-who]")).to_have_text(published)
        assert second.evaluate("[localStorage.length, document.cookie]") == [0, ""]

        second.click("text=Salir")
        expect(first.locator("text=Ingresar").first).to_be_visible()
        assert first.evaluate("sessionStorage.getItem('anb.session')") is None


# Accidents


@pytest.fixture
def tidied(system):
    """Take away what a test has uploaded, before it shows in another's lists."""
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM anb.users")
        (last,) = cursor.fetchone()
    yield
    with system.database.connect() as connection, connection.cursor() as cursor:
        for table in ("standings", "videos"):
            cursor.execute(f"DELETE FROM anb.{table} WHERE user_id > %s", (last,))  # noqa: S608 names of ours
        connection.commit()


@ON_DESKTOP_AND_PHONE
@pytest.mark.usefixtures("tidied")
def test_a_session_that_ends_in_mid_upload_loses_neither_title_nor_file(visit, clips):
    email = visit.sign_up(then="/subir")
    visit.choose(clips["good"], title="Sin perder nada")
    ended = []

    def refuse_once(route):
        ended.append(route.request.url)
        problem = {"error": "unauthenticated", "message": "El token de acceso ha expirado.", "detail": ""}
        route.fulfill(status=401, json=problem)

    visit.page.route("**/complete", refuse_once, times=1)
    visit.page.click("button:has-text('Subir video')")
    dialog = visit.page.locator("#again")
    expect(dialog).to_be_visible()
    expect(dialog.locator("#email")).to_have_value(email)
    _draw(visit.page, "sesion-terminada", WIDE)
    visit.page.set_viewport_size(NARROW)
    _draw(visit.page, "sesion-terminada", NARROW)
    assert _accessibility_findings(visit.page) == []
    dialog.locator("#password").fill(PASSWORD)
    dialog.locator("#password").press("Enter")

    visit.page.wait_for_url("**/mis-videos")
    expect(visit.row("Sin perder nada")).to_be_visible()
    assert len(ended) == 1


@pytest.fixture
def relays(system):
    """Return the ways to our server and to the object store, which can be cut."""
    proxies = [TcpProxy(urlsplit(url).port) for url in (system.url, system.emulator.endpoint)]
    yield proxies
    for proxy in proxies:
        proxy.close()


@pytest.mark.usefixtures("tidied")
def test_an_upload_goes_on_by_itself_on_its_reservation_when_the_connection_comes_back(
    opened, system, relays, make_player, clips
):
    keys = []
    to_server, to_store = relays

    def reserve(route):
        """Lead the page to the store by its relay."""
        keys.append(route.request.headers["idempotency-key"])
        place = route.fetch().json()
        form = urlsplit(place["url"])
        place["url"] = form._replace(netloc=f"{form.hostname}:{to_store.port}").geturl()
        route.fulfill(status=201, json=place)

    with opened(bypass_csp=True) as visit:  # which names the store alone
        visit.url = urlsplit(visit.url)._replace(netloc=f"127.0.0.1:{to_server.port}").geturl()
        visit.enter_as(make_player())
        visit.page.route("**/api/videos/uploads", reserve)
        visit.choose(clips["good"], title="Sin señal")
        visit.limit_upload(bytes_per_second=clips["good"].stat().st_size / 20)
        visit.page.click("button:has-text('Subir video')")
        visit.wait_until("document.querySelector('#progress').value > 10")
        for relay in relays:  # our server's first, so that no way is left when the page looks
            relay.refuses = True
            relay.cut()
        expect(visit.page.locator("[data-step]")).to_have_text("Se perdió la conexión; seguimos en cuanto vuelva")
        assert visit.page.evaluate("document.querySelector('#progress').value") < 100
        _draw(visit.page, "sin-senal", NARROW)
        visit.limit_upload(bytes_per_second=-1)
        for relay in relays:
            relay.heal()

        visit.page.wait_for_url("**/mis-videos")
        expect(visit.row("Sin señal")).to_have_count(1)
    assert (len(keys), len(set(keys))) == (2, 1)
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM anb.videos WHERE title = 'Sin señal'")  # reservations, too
        assert cursor.fetchone() == (1,)


@pytest.fixture(scope="module")
def recorded(clips, tmp_path_factory):
    """Return a QuickTime file with the pictures of a good clip, as an iPhone writes it, by its codec."""
    folder = tmp_path_factory.mktemp("quicktime")

    def record(*codec):
        path = folder / f"IMG_{len(list(folder.iterdir()))}.MOV"
        ffmpeg("-i", clips["good"], *codec, "-f", "mov", path)
        return path

    return record


HIGH_EFFICIENCY = ("-t", "21", "-r", "10", "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1")


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize(
    ("codec", "fact"),
    [
        pytest.param(("-c", "copy"), "1920x1080", id="most compatible"),
        # Which this browser does not play: its facts are not looked at, its pictures need no decoding
        pytest.param((*HIGH_EFFICIENCY, "-pix_fmt", "yuv420p10le", "-an"), "MB", id="high efficiency"),
    ],
)
def test_a_quicktime_file_is_repacked_by_the_page_and_taken(visit, make_player, recorded, codec, fact):
    movie = recorded(*codec)
    assert movie.read_bytes()[4:12] == b"ftypqt  "
    visit.enter_as(make_player())
    visit.choose(movie, title="Desde el iPhone")
    expect(visit.page.locator("#video_file-facts")).to_contain_text(fact)

    visit.page.click("button:has-text('Subir video')")

    visit.page.wait_for_url("**/mis-videos")
    row = visit.row("Desde el iPhone")
    expect(row.locator(".chip")).to_have_text("Procesado", timeout=180_000)
    expect(row.locator("video")).to_have_attribute("poster", re.compile("picture.jpg"))


def test_what_repacks_quicktime_is_the_release_that_npm_locks():
    ours = ROOT / "services" / "web" / "anb_web" / "static" / "vendor" / "mediabunny" / "mediabunny.js"

    theirs = ROOT / "node_modules" / "mediabunny" / "dist" / "bundles" / "mediabunny.min.mjs"
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_no_repacking_helps_is_said_in_a_sentence(visit, make_player, recorded):
    visit.enter_as(make_player())
    uploads = []
    visit.page.on("request", lambda request: uploads.append(request.url) if request.method == "POST" else None)
    visit.choose(recorded("-t", "21", "-c:v", "prores_ks", "-profile:v", "0", "-vf", "scale=96:54"), title="ProRes")

    expect(visit.page.locator("#video_file-wrong")).to_contain_text("ProRes")
    _draw(visit.page, "prores", NARROW)
    assert uploads == []


def test_a_wrong_password_is_answered_with_a_sentence(visit, published):
    visit.open("/ingresar")
    visit.page.fill("#email", published)
    visit.page.fill("#password", "not-the-one")
    visit.page.press("#password", "Enter")

    expect(visit.page.locator("[role=alert]")).to_have_text("Correo electrónico o contraseña incorrectos.")
    visit.page.screenshot(path=_picture("clave-incorrecta", WIDE))


def test_a_refused_sign_up_says_beside_each_field_what_is_wrong(visit, published):
    visit.open("/registro")
    for name, value in {"first_name": "Ana", "last_name": "Gil", "city": "Cali", "country": "Colombia"}.items():
        visit.page.fill(f"#{name}", value)
    visit.page.fill("#email", "no es un correo")
    visit.page.fill("#password1", "corta")
    visit.page.fill("#password2", "otra")
    visit.page.click("text=Crear mi cuenta")

    expect(visit.page.locator("#email-wrong")).to_have_text("No es un correo electrónico válido.")
    expect(visit.page.locator("#password1-wrong")).to_contain_text("entre 8 y 128")
    expect(visit.page.locator("#email")).to_be_focused()
    _draw(visit.page, "registro-errores", WIDE)
    visit.page.fill("#email", published)
    visit.page.fill("#password1", PASSWORD)
    visit.page.fill("#password2", PASSWORD)
    visit.page.click("text=Crear mi cuenta")
    expect(visit.page.locator("#email-wrong")).to_have_text("Ya existe una cuenta con este correo electrónico.")


def test_a_video_that_is_too_short_is_refused_before_it_is_sent(visit, make_player, clips):
    visit.enter_as(make_player())
    uploads = []
    visit.page.on("request", lambda request: uploads.append(request.url) if request.method == "POST" else None)
    visit.choose(clips["12 seconds"], title="Muy corto")
    visit.page.click("button:has-text('Subir video')")

    wrong = visit.page.locator("#video_file-wrong")
    expect(wrong).to_have_text("El video dura 12,0 segundos; debe durar entre 20 y 60.")
    _draw(visit.page, "muy-corto", WIDE)
    assert uploads == []


def test_what_the_browser_cannot_judge_the_server_does(visit, make_player, tmp_path):
    fake = tmp_path / "jugada.mp4"
    fake.write_bytes(b"not a video at all" * 1000)
    visit.enter_as(make_player())
    visit.choose(fake, title="Falso")
    reservations = []
    for _ in range(2):  # a refused one is over: the next attempt gets a place of its own
        with visit.page.expect_response("**/complete") as response:
            visit.page.click("button:has-text('Subir video')")
        reservations.append(response.value.url)
        expect(visit.page.locator("#video_file-wrong")).not_to_be_empty()
        expect(visit.page.locator(".sending")).to_be_hidden()
    assert len(set(reservations)) == 2


def test_when_the_object_store_is_out_of_reach_the_video_goes_through_the_server(visit, make_player, system, clips):
    visit.enter_as(make_player())
    visit.page.route(f"{system.emulator.endpoint}/**", lambda route: route.abort("connectionfailed"))
    visit.choose(clips["good"], title="Por otro camino")
    with visit.page.expect_response("**/api/videos/upload") as response:
        visit.page.click("button:has-text('Subir video')")
    assert response.value.status == 201
    visit.page.unroute_all()

    visit.page.wait_for_url("**/mis-videos")
    expect(visit.row("Por otro camino").locator(".chip")).to_have_text("En proceso")
    visit.row("Por otro camino").locator("[data-delete]").click()
    visit.page.screenshot(path=_picture("eliminar", WIDE))
    visit.page.click("text=Conservarlo")
    expect(visit.row("Por otro camino")).to_be_visible()
    visit.row("Por otro camino").locator("[data-delete]").click()
    visit.page.click("text=Sí, eliminarlo")
    expect(visit.page.locator("#toast")).to_have_text("El video ha sido eliminado exitosamente.")
    expect(visit.row("Por otro camino")).to_have_count(0)
    expect(visit.page.locator("#none")).to_be_visible()


def test_when_the_network_is_cut_it_says_so_and_the_same_video_can_be_sent_again(visit, make_player, clips):
    visit.enter_as(make_player())
    visit.choose(clips["good"], title="Segundo intento")
    keys = []
    visit.page.on("request", lambda request: keys.append(request.headers.get("idempotency-key")))
    visit.page.route("**/*", lambda route: route.abort("internetdisconnected"))
    visit.page.set_viewport_size(NARROW)
    visit.page.click("button:has-text('Subir video')")
    alert = visit.page.locator("#upload [role=alert]")
    expect(alert).to_contain_text("No hay conexión con el servidor.")
    expect(alert).to_contain_text("Tu video sigue elegido")
    expect(alert).to_be_in_viewport(ratio=1)
    _draw(visit.page, "sin-conexion", NARROW)
    _draw(visit.page, "sin-conexion", WIDE)

    visit.page.unroute_all()
    visit.page.click("button:has-text('Subir video')")

    visit.page.wait_for_url("**/mis-videos")
    expect(visit.page.locator(".own-video")).to_have_count(1)
    assert len({key for key in keys if key}) == 1
    visit.page.locator("[data-delete]").click()
    visit.page.click("text=Sí, eliminarlo")
    expect(visit.page.locator("#none")).to_be_visible()


@pytest.mark.parametrize("ended", ["by the server", "by the clock"])
def test_an_expired_token_asks_to_log_in_again_and_leads_back(visit, published, ended):
    visit.open("/")
    session = {"token": "expired", "ends": FAR_FUTURE if ended == "by the server" else 1}
    visit.page.evaluate("session => sessionStorage.setItem('anb.session', session)", json.dumps(session))

    visit.open("/mis-videos")

    visit.page.wait_for_url("**/ingresar?**")
    expect(visit.page.locator("[data-reason]")).to_have_text("Tu sesión terminó. Ingresa de nuevo para continuar.")
    visit.log_in(published)
    visit.page.wait_for_url("**/mis-videos")


def test_a_login_never_leads_to_a_foreign_site(visit, published):
    visit.open("/ingresar?volver=//example.com/")
    visit.log_in(published)

    visit.page.wait_for_url(f"{visit.url}/")


def test_a_video_that_could_not_be_processed_says_why(visit, system):
    email = visit.sign_up(then="/")
    with system.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO anb.videos (id, user_id, title, status, error, request_id, uploaded_at)"
            " SELECT %s, id, 'Dañado', 'failed', 'El video está dañado.', 'test-request', UTC_TIMESTAMP(6)"
            " FROM anb.users WHERE email = %s",
            (uuid4().hex, email),
        )
        connection.commit()

    visit.open("/mis-videos")

    expect(visit.row("Dañado").locator(".chip")).to_have_text("No se pudo procesar")
    expect(visit.row("Dañado")).to_contain_text("El video está dañado.")
    expect(visit.row("Dañado").locator("[data-retry]")).to_be_visible()
    visit.page.screenshot(path=_picture("no-se-pudo", WIDE))
    visit.row("Dañado").locator("[data-retry]").click()
    expect(visit.page.locator("#title")).to_have_value("Dañado")


# What every page owes its visitors


@pytest.mark.usefixtures("league")
def test_the_keyboard_alone_leads_from_the_login_to_a_vote(visit, published):
    page = visit.open("/ingresar?volver=/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, "#email")
    page.keyboard.type(published)
    _tab_to(page, "#password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{visit.url}/")

    _tab_to(page, ".card .play")
    page.keyboard.press("Enter")
    expect(page.locator(".card video")).to_be_focused()
    _tab_to(page, "[data-vote]")
    page.keyboard.press("Space")

    expect(page.locator(".note").first).to_have_text("Voto registrado exitosamente.")
    expect(page.locator("[data-vote]").first).to_be_focused()


def _tab_to(page, selector):
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"40 times Tab do not lead to {selector}")


@pytest.mark.usefixtures("league")
def test_without_javascript_videos_and_ranking_are_there(opened):
    with opened(java_script_enabled=False) as visit:
        visit.open("/")
        expect(visit.page.locator(".card")).to_have_count(len(PLAYERS) + 1)
        assert ".mp4?" in visit.page.locator(".play").first.get_attribute("href")
        visit.open("/ranking?ciudad=medellin")
        expect(visit.page.locator(".step")).to_have_count(2)
        visit.open("/registro")
        expect(visit.page.locator(".notice")).to_contain_text("JavaScript")


@pytest.mark.usefixtures("league")
def test_every_page_weighs_at_most_150_kb_without_videos(opened, make_player):
    player, bytes_of = make_player(), {}
    with opened() as visit:
        shared = [_path_of(visit, "/videos/"), _path_of(visit, "/jugadores/")]
    for path in (*PAGES.values(), *OWN_PAGES.values(), *shared):
        with opened() as visit:  # each with an empty cache
            visit.enter_as(player)
            bytes_of[path] = _bytes_loaded(visit, path)

    (PICTURES / "bytes.json").write_text(json.dumps(bytes_of, indent=2))
    assert {path: size for path, size in bytes_of.items() if not 40_000 < size <= LARGEST_PAGE_BYTES} == {}


def _bytes_loaded(visit, path):
    loaded = []

    def keep(request):  # Playwright takes no built-in method
        loaded.append(request)

    visit.page.on("requestfinished", keep)
    visit.open(path)
    visit.page.wait_for_load_state("networkidle")
    sizes = [request.sizes() for request in loaded if request.url.startswith(visit.url)]
    return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


@pytest.mark.usefixtures("league")
def test_every_page_is_drawn_and_nothing_keeps_anybody_out(opened, published):
    findings = []
    with opened(reduced_motion="reduce") as visit:
        shared = {"video": _path_of(visit, "/videos/"), "jugador": _path_of(visit, "/jugadores/")}
        more = {
            "buscar": "/?buscar=bocina",
            "mas-votados": "/?orden=votes",
            "ciudad": "/ranking?ciudad=Medellin",
            "no-existe": "/no-existe",
        }
        for name, path in {**PAGES, **shared, **more}.items():
            findings += _inspect(visit, name, path)
        visit.open("/ingresar?volver=/")
        visit.log_in(published)
        visit.page.wait_for_url(f"{visit.url}/")
        for name, path in OWN_PAGES.items():
            findings += _inspect(visit, name, path)
    assert findings == []


def _path_of(visit, prefix, of="/"):
    """Return where the page's first link to such a page leads."""
    return re.findall(rf'href="({prefix}[^"]+)"', requests.get(visit.url + of, timeout=30).text)[0]


def _inspect(visit, name, path):
    """Draw the page wide and narrow; return what a visitor with or without sight would stumble over."""
    visit.open(path)
    visit.wait_until("document.querySelector('[aria-busy=true]') === null")
    visit.wait_until("document.documentElement.dataset.session !== 'asking'")
    # What lies further down is fetched when it comes near
    visit.page.evaluate("for (const picture of document.images) picture.loading = 'eager'")
    visit.wait_until("[...document.images].every(picture => picture.complete)")
    findings = []
    for size in (WIDE, NARROW):
        visit.page.set_viewport_size(size)
        _draw(visit.page, name, size)
        overflow = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            findings.append(f"{name}: {overflow} pixels wider than {size['width']}")
        # Narrow, it is the menu that differs, which is the same on every page
        if size is WIDE or path == "/":
            findings += [f"{name}: {finding}" for finding in _accessibility_findings(visit.page)]
    return findings


def _accessibility_findings(page):
    violations = Axe().run(page, options=AXE).response["violations"]
    serious = [violation for violation in violations if violation["impact"] in {"serious", "critical"}]
    return [f"{violation['id']}: {[node['html'] for node in violation['nodes']]}" for violation in serious]


LONGEST_WORD = "W" * 100


@pytest.fixture
def make_first(system, make_player):
    """Return a player who is first in every list, under names that today's sign-up may refuse."""
    emails = []

    def make(*, name, city, title):
        emails.append(f"{uuid4().hex}@example.com")
        player = make_player(email=emails[-1])
        with system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM anb.users WHERE email = %s", (emails[-1],))
            (owner,) = cursor.fetchone()
            cursor.execute(
                "UPDATE anb.users SET first_name = %s, last_name = %s, city = %s WHERE id = %s",
                (name, name, city, owner),
            )
            for status in ("processed", "failed"):
                cursor.execute(
                    "INSERT INTO anb.videos (id, user_id, title, status, request_id, uploaded_at, processed_at)"
                    " VALUES (%s, %s, %s, %s, 'test-request', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 DAY)",
                    (uuid4().hex, owner, title, status),
                )
            cursor.execute("INSERT INTO anb.standings (user_id, city, votes) VALUES (%s, %s, 9999)", (owner, city))
        return player

    yield make
    with system.database.connect() as connection, connection.cursor() as cursor:
        for email in emails:
            for table, column in (("standings", "user_id"), ("videos", "user_id"), ("users", "id")):
                cursor.execute(
                    f"DELETE FROM anb.{table} WHERE {column} = (SELECT id FROM anb.users WHERE email = %s)",  # noqa: S608 names of ours
                    (email,),
                )


@pytest.mark.parametrize("size", [WIDE, NARROW, {"width": 320, "height": 640}], ids=["wide", "narrow", "small"])
def test_no_name_makes_a_page_wider_than_its_window(opened, system, make_first, size):
    player = make_first(name=LONGEST_WORD, city=LONGEST_WORD, title=LONGEST_WORD * 2)
    until(lambda: LONGEST_WORD in requests.get(system.url, timeout=30).text)
    addresses = ("/", "/ranking", f"/ranking?ciudad={LONGEST_WORD}", f"/ranking?ciudad={'V' * 100}", "/mis-videos")

    widths = {}
    with opened(viewport=size) as visit:
        visit.enter_as(player)
        video = _path_of(visit, "/videos/")
        shared = (video, _path_of(visit, "/jugadores/", of=video), f"/?ciudad={LONGEST_WORD}")
        for address in (*shared, *addresses):
            visit.open(address)
            visit.wait_until("document.querySelector('[aria-busy=true]') === null")
            widths[address] = visit.page.evaluate("document.documentElement.scrollWidth")
        visit.page.locator("[data-delete]:visible").click()
        dialog = visit.page.evaluate("(ask => ask.scrollWidth - ask.clientWidth)(document.getElementById('ask'))")

    assert widths == dict.fromkeys((*shared, *addresses), size["width"])
    assert dialog <= 0


def test_a_name_reorders_nothing_but_itself(visit, system, make_first):
    """Names of earlier days may hold what sign-up refuses by now."""
    name, city, title = "\u202egnirtS", "\u2067ytiC", "\u202eeltiT"
    visit.enter_as(make_first(name=name, city=city, title=title))
    until(lambda: name in requests.get(system.url, timeout=30).text)

    loose = """texts => {
        const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const inside = texts.some((text) => walker.currentNode.data.includes(text));
            if (inside) found.push(walker.currentNode.parentElement.closest("bdi, .face") !== null);
        }
        return found;
    }"""
    video = _path_of(visit, "/videos/")
    shared = (video, _path_of(visit, "/jugadores/", of=video))
    for address in (*shared, "/", "/ranking", f"/ranking?ciudad={city}", "/mis-videos"):
        visit.open(address)
        visit.wait_until("document.querySelector('[aria-busy=true]') === null")
        found = visit.page.evaluate(loose, [name, city, title])
        assert found, address
        assert all(found), address
    visit.page.locator("[data-delete]:visible").click()
    assert all(visit.page.evaluate(loose, [title]))


def test_pages_run_no_foreign_script_and_lie_in_no_foreign_frame(system):
    for path in (*PAGES.values(), *OWN_PAGES.values(), "/no-existe"):
        headers = requests.get(system.url + path, headers={"Accept": "text/html"}, timeout=30).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"


def test_static_files_are_kept_for_ever_under_an_address_of_their_content(system):
    page = requests.get(system.url, timeout=30).text
    address = re.findall(r'href="(/static/[0-9a-f]{12}/site\.css)"', page)[0]

    assert "immutable" in requests.get(system.url + address, timeout=30).headers["Cache-Control"]
    other = requests.get(system.url + re.sub("[0-9a-f]{12}", "0" * 12, address), timeout=30)
    assert (other.status_code, other.headers["Cache-Control"]) == (200, "no-store")
    for path in ("/static/0/../site.py", "/static/0/%2e%2e/site.py", "/static/0/fonts/OFL.txt"):
        assert requests.get(system.url + path, timeout=30).status_code == 404


def test_an_error_is_a_page_for_browsers_and_json_for_everybody_else(system):
    def get(path, accept):
        return requests.get(system.url + path, headers={"Accept": accept}, timeout=30)

    browser = "text/html,application/xhtml+xml,*/*;q=0.8"
    assert "Fuera de la cancha" in get("/no-existe", browser).text
    assert "Debe ser un número entero" in get("/ranking?pagina=x", browser).text
    assert get("/no-existe", "*/*").json()["error"] == "not_found"
    assert get("/api/no-existe", browser).json()["error"] == "not_found"
