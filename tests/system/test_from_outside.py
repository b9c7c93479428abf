"""Plug-ins from packages of their own: built, installed, named, bought with, and taken away.

Everything runs in fresh environments, from wheels alone, as it would on a server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
from ledger import API_KEY as LEDGER_KEY
from ledger import Ledger, LedgerWorld
from processor import API_KEY as MOBILE_KEY
from processor import Processor

from cnn_offset import running
from cnn_offset.testing.serving import served
from tests.conftest import missing
from tests.system.test_under_fire import free_port
from tests.web.shopping import CONSENTS, PERSON, WHY

ROOT = Path(__file__).parents[2]
UNNEEDED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
OUTSIDE = ("registry_ledger", "payment_mobile")
NUMBER = "+254700000001"
STOCK = """
from cnn_offset import jobs
from cnn_offset.app import create_app
from cnn_offset.domain.money import Money
from cnn_offset.extensions import platform, unit_of_work
from cnn_offset.models import AccountKind, Activity, ActivityKind, Block, Provider
from cnn_offset.services import holdings, offering, paying_out
from datetime import date
from sqlalchemy import select

with create_app().app_context():
    here = platform()
    now, texts = here.clock(), {"en": "Wind", "fr": "Vent", "es": "Viento"}
    with unit_of_work() as session:
        provider = Provider(
            slug="sun", name="Sun Ltd", country="KE", email="sun@example.org", created_at=now
        )
        activity = Activity(
            slug="wind", registry_id="ledger", ref="7001", kind=ActivityKind.PA, title=texts,
            description=texts, labels={}, picture_alt=texts, host_party="KE", scope=1,
            technology="wind", methodology="ACM0002", crediting_start=date(2013, 1, 1),
            crediting_end=date(2029, 12, 31), created_at=now, changed_at=now,
        )
        session.add_all([provider, activity])
        session.flush()
        provider_id = provider.id
        account = holdings.open_account(
            session, provider, registry_id="ledger", account_ref="ACC-1",
            kind=AccountKind.PERMANENT, now=now,
        )
        holdings.map_activity(session, account, activity, actor="test", now=now)
        account_id = account.id
        payout_id = paying_out.type_account(
            session, provider_id, "mobile_money", {"number": "NUMBER"},
            plugins=here.payments, actor="test", now=now,
        )
    assert jobs.do("registry_account", account_id) and jobs.do("payout_method", payout_id)
    with unit_of_work() as session:
        block_id = session.scalars(select(Block.id)).one()
        terms = offering.Terms(Money(250, "USD"), 100)
        outside = offering.Outside(here.payments_kept, here.dates_for_offers, now)
        print(offering.make_offer(session, provider_id, block_id, terms, outside, actor="t").id)
""".replace("NUMBER", NUMBER)


@dataclass(frozen=True)
class Environment:
    """A Python environment in which nothing of this source tree can be imported."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *command: str, cwd: Path, fails: bool = False) -> str:
        """Run a program of the environment; return what it printed."""
        path = self.folder / "bin" / command[0]
        done = subprocess.run(
            [str(path), *command[1:]],
            cwd=cwd, env=clean(), check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr


def clean() -> dict[str, str]:
    """Return our own environment without what would lead Python elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def make_environment(folder: Path, wheels: list[Path]) -> Environment:
    """Make an environment with ``wheels`` and, behind them, what they depend on."""
    venv.create(folder, symlinks=True)
    made = Environment(folder)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip(
        "--python", made.python, "install", "--no-index", "--no-deps", "--no-compile",
        "--ignore-installed", *map(str, wheels),
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build cnn_offset and both examples as wheels, without the network."""
    for needed in ("pip", "setuptools"):
        if find_spec(needed) is None:
            missing(needed)
    work = tmp_path_factory.mktemp("build")
    own = work / "cnn_offset"
    shutil.copytree(ROOT / "cnn_offset", own / "cnn_offset", ignore=UNNEEDED)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, own / name)
    sources = {"cnn_offset": own}
    for name in OUTSIDE:
        sources[name] = work / name
        shutil.copytree(ROOT / "examples" / name, work / name, ignore=UNNEEDED)
    pip(
        "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir",
        str(work / "dist"), *map(str, sources.values()),
    )  # fmt: skip
    built = {path.name: path for path in (work / "dist").glob("*.whl")}
    return {
        name: next(path for wheel, path in built.items() if part in wheel)
        for name, part in (
            ("cnn_offset", "cnn_offset-0"),
            ("registry_ledger", "registry_ledger"),
            ("payment_mobile", "payment_mobile"),
        )
    }


@pytest.fixture(scope="module")
def fresh(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the shop and both packages from outside."""
    return make_environment(tmp_path_factory.mktemp("fresh"), list(wheels.values()))


@pytest.fixture(scope="module")
def bare(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the shop alone."""
    return make_environment(tmp_path_factory.mktemp("bare"), [wheels["cnn_offset"]])


@dataclass
class Site:
    """An installation: a folder with a configuration, and what it speaks to."""

    folder: Path
    environment: Environment
    ledger_url: str
    mobile_url: str
    database_url: str
    port: int

    def __post_init__(self) -> None:
        (self.folder / "instance").mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(self, *, named: bool = True, retired: bool = False) -> None:
        """Write the configuration: the packages named, retired, or left out."""
        outside = f"""
            [PAYMENTS.mobile_money]
            retired = {str(retired).lower()}
            base_url = "{self.mobile_url}"
            api_key = "{MOBILE_KEY}"
            [REGISTRIES.ledger]
            retired = {str(retired).lower()}
            connector = "ledger"
            base_url = "{self.ledger_url}"
            api_key = "{LEDGER_KEY}"
        """
        (self.folder / "instance" / "config.toml").write_text(
            f"""
            DATABASE_URL = "{self.database_url}"
            PUBLIC_URL = "{self.url}"
            SWEEP_SECONDS = 0.2
            [PAYMENTS.bank_transfer]
            [REGISTRIES.cdm]
            connector = "cdm"
            base_url = "http://127.0.0.1:1"
            token = "t"
            {outside if named else ""}
            """
        )

    def run(self, *command: str, fails: bool = False) -> str:
        return self.environment.run(*command, cwd=self.folder, fails=fails)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run web and worker."""
        web = [self.environment.python, *running.granian(self.port, workers=1)[1:]]
        worker = [str(self.environment.folder / "bin" / "cnn-offset"), "worker"]
        with (self.folder / "log").open("ab") as log:
            children = [
                subprocess.Popen(each, cwd=self.folder, env=clean(), stdout=log, stderr=log)
                for each in (web, worker)
            ]
            try:
                running.wait_for(f"{self.url}/health/live", 60)
                yield
            finally:
                for each in children:
                    each.terminate()
                for each in children:
                    each.wait(20)


class Shopper:
    """A browser without a screen: cookies, forms with their tokens."""

    def __init__(self, url: str) -> None:
        self.url, self.session = url, requests.Session()

    def post(self, path: str, page: str, **data: str) -> requests.Response:
        """Fill in the form of a page and send it to ``path``; follow where it leads."""
        shown = self.session.get(page if "://" in page else self.url + page, timeout=20).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', shown)
        assert token, shown[:500]
        answer = self.session.post(
            path if "://" in path else self.url + path,
            {"csrf_token": token[1], **data},
            timeout=20,
        )
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer

    def buy(self, offer_id: str) -> requests.Response:
        """Buy three units by mobile money; return the order's page."""
        self.post("/en/basket/add", "/en/projects/wind", offer=offer_id, quantity="3")
        details = self.post("/en/checkout", "/en/basket").url
        step2 = self.post(details, details, **PERSON).url
        review = self.post(step2, step2, **WHY, **{"method-1-USD": "mobile_money"}).url
        page = self.post(review, review, **CONSENTS)
        assert "<title>Mobile money</title>" in page.text
        return self.session.post(page.url, {"choice": "pay"}, timeout=20)

    def wait_for_attestation(self, order: str) -> bytes:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            shown = self.session.get(order, timeout=20).text
            found = re.search(r'href="([^"]*attestation[^"]*\.pdf[^"]*)"', shown)
            if found:
                return self.session.get(self.url + found[1], timeout=20).content
            time.sleep(0.3)
        raise AssertionError(shown)


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("system")
@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def test_bought_with_and_taken_away(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    fresh: Environment,
    bare: Environment,
    database: str,
) -> None:
    url = request.getfixturevalue("new_postgres")() if database == "postgres" else ""
    ledger, processor = Ledger(), Processor()
    with served(ledger) as ledger_url, served(processor) as mobile_url:
        LedgerWorld(ledger, ledger_url).seed(100)
        site = Site(tmp_path / "site", fresh, ledger_url, mobile_url, url, free_port())
        site.configure()
        site.run("cnn-offset", "migrate")
        assert_listed(site.run("cnn-offset", "plugins"))
        offer_id = site.run("python", "-c", STOCK).split()[-1]
        with site.serving():
            shopper = Shopper(site.url)
            order = shopper.buy(offer_id)
            paper = shopper.wait_for_attestation(order.url)
        assert paper.startswith(b"%PDF")
        assert [sum(b - a + 1 for _, a, b in each["spans"]) for each in ledger.done] == [3]
        assert {each["payee"] for each in processor.payments.values()} == {NUMBER}
        assert {each["status"] for each in processor.payments.values()} == {"paid"}
        assert "All adds up." in site.run("cnn-offset", "check")
        if database == "sqlite":
            taken_away(site, bare, shopper, order.url)


GUIDE = ROOT / "cnn_offset" / "plugins" / "README.md"


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("system")
def test_the_guide_gets_a_stranger_there(
    wheels: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What "In half an hour" tells to type works as it stands."""
    section = GUIDE.read_text().partition("## In half an hour")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    tables = "".join(re.findall(r"```toml\n(.*?)```", section, re.DOTALL))
    assert "pytest" in commands
    own = make_environment(tmp_path_factory.mktemp("stranger"), [wheels["cnn_offset"]])
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=UNNEEDED)
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "config.toml").write_text(f"[PAYMENTS.bank_transfer]\n{tables}")
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=tmp_path,
        env=clean()
        | {"PATH": f"{own.folder / 'bin'}:{os.environ['PATH']}"}
        # Everything is there already, so that nothing has to be fetched.
        | {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" \d+ passed", done.stdout), done.stdout
    assert re.search(
        r"^  ledger +runs as ledger +cnn-offset-registry-ledger 1", done.stdout, re.MULTILINE
    ), done.stdout


def assert_listed(listed: str) -> None:
    """Built-in plug-ins and those from outside, each with the package it comes from."""
    for name, state, source in (
        ("mobile_money", "runs as mobile_money", "cnn-offset-payment-mobile 1.0.0"),
        ("ledger", "runs as ledger", "cnn-offset-registry-ledger 1.0.0"),
        ("cdm", "runs as cdm", "cnn-offset 0"),
        ("paypal", "installed, not named", "cnn-offset 0"),
    ):
        assert re.search(rf"^  {name} +{state} +{source}", listed, re.MULTILINE), listed


def taken_away(site: Site, bare: Environment, shopper: Shopper, order: str) -> None:
    """Left out it is refused while something needs it; retired it may even be uninstalled."""
    site.configure(named=False)
    refused = site.run("cnn-offset", "worker", fails=True)
    assert "PAYMENTS.mobile_money does not run, and is still needed" in refused
    assert "REGISTRIES.ledger does not run, and is still needed: open offers: 1." in refused
    assert "Traceback" not in refused
    site.environment = bare
    site.configure(retired=True)
    assert "mobile_money     retired, not installed" in site.run("cnn-offset", "plugins")
    with site.serving():
        shown: Any = shopper.session.get(order, timeout=20)
        assert shown.status_code == 200
        assert "National ledger" in shown.text
        listed = shopper.session.get(f"{site.url}/en/projects", timeout=20)
        assert listed.status_code == 200
        assert "/en/projects/wind" not in listed.text
        project = shopper.session.get(f"{site.url}/en/projects/wind", timeout=20)
        assert project.status_code == 200
