from __future__ import annotations

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Dialog, Request

from models.evaluation.cases import find_cases
from models.evaluation.embedding import embed, some
from models.evaluation.evaluated import Evaluated, Floats
from models.evaluation.measures import measure
from models.evaluation.page import write_page
from models.evaluation.pixels import measure_pixels
from models.preprocess import Picture
from tests.models.conftest import Scene

HOSTILE = '"><script>document.title="taken"</script><img src=x onerror=alert(1)>{{ 7 * 7 }}&amp;'
VOID = {"meta", "link", "img", "source", "br"}


class Parsed(HTMLParser):
    """Tags with their attributes, text outside of <style>, and whether every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data.strip())


def evaluated(scene: Scene, normal: int = 12, faulty: int = 10, channels: int = 3) -> Evaluated:
    """The score is the distance from the mean picture, which is also the reconstruction."""
    pictures = np.concatenate([scene(normal, 1), scene(faulty, 2, fault=True)])[..., :channels].copy()
    anomalous = np.arange(normal + faulty) >= normal
    usual = scene(60)[..., :channels].mean(axis=0)
    gap = np.abs(pictures - usual).mean(axis=-1).astype(np.float32)
    scores = gap.mean(axis=(1, 2)).astype(np.float64)
    masks = anomalous[:, None, None] & (np.mgrid[0:32, 0:32] // 8 == np.array([1, 2])[:, None, None]).all(axis=0)

    def look(indices: npt.NDArray[np.intp]) -> tuple[Picture, Floats, Floats]:
        rebuilt = np.broadcast_to(usual / 127.5 - 1, (len(indices), *usual.shape)).astype(np.float32)
        return pictures[indices], rebuilt, gap[indices]

    return Evaluated(
        title="Mean picture on discs",
        scorer="Mean picture",
        model_id="0123456789ab",
        dataset="discs",
        summary={"training time": "1 s", "frames per second": 812.5, "seed": 3, "machine": None},
        scores=scores,
        anomalous=anomalous,
        kinds=["piece missing" if label else "good" for label in anomalous],
        names=[f"{i:03}.png" for i in range(len(scores))],
        measures=measure(scores, anomalous, float(np.median(scores))),
        pixels=measure_pixels(gap, masks),
        masks=masks,
        see=lambda chosen: pictures[chosen].reshape(len(chosen), -1).astype(np.float32),
        look=look,
    )


@pytest.fixture(scope="module")
def case(scene: Scene) -> Evaluated:
    return evaluated(scene)


def test_both_files(case: Evaluated, tmp_path: Path) -> None:
    paths = write_page(tmp_path / "new" / "folder", case)
    assert [path.name for path in paths] == ["report.html", "report.json"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["report.html", "report.json"]
    page = Parsed(paths[0].read_text("utf-8"))
    assert page.open == []
    assert not {"script", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    # Five charts; picture, reconstruction and heat of six normal and ten anomalous pictures.
    assert len(pictures) == 5 + 3 * (6 + 5 + 5)
    for uri in (*pictures, *(str(a["srcset"]) for tag, a in page.tags if tag == "source")):
        kind, encoded = uri.split(",")
        assert re.fullmatch(r"data:image/(png|jpeg);base64", kind)
        image = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
        assert image is not None and image.shape[0] >= 192
    assert not any("://" in str(value) for _, attributes in page.tags for value in attributes.values())
    told = json.loads(paths[1].read_text())
    assert told["measures"] == case.measures.to_dict() and told["pixels"] == case.pixels.to_dict()  # type: ignore[union-attr]
    assert [row["score"] for row in told["pictures"]] == case.scores.tolist()
    assert [row["kind"] for row in told["kinds"]] == ["good", "piece missing"]
    assert told["summary"] == {"training time": "1 s", "frames per second": 812.5, "seed": 3, "machine": None}
    for shown in ("0123456789ab", f"{case.measures.auroc.value:.3f}", "812.5", "piece missing"):
        assert any(shown in text for text in page.text)


def test_says_how_many_were_found(case: Evaluated, tmp_path: Path) -> None:
    scores = np.concatenate([np.linspace(1, 2, 12), np.linspace(1.5, 3, 10)])
    made = dataclasses.replace(case, scores=scores, measures=measure(scores, case.anomalous, 1.9))
    text = " ".join(Parsed(write_page(tmp_path, made)[0].read_text("utf-8")).text)
    found, false = int((scores[12:] > 1.9).sum()), int((scores[:12] > 1.9).sum())
    assert f"{found} of 10 anomalous pictures raise an alarm, and {false} of 12 normal ones do too" in text
    assert f"{10 - found} of 10 lie below the threshold and are missed" in text
    assert f"{false} of 12 lie above the threshold and would raise a false alarm" in text


def test_hostile_names_are_only_text(case: Evaluated, tmp_path: Path) -> None:
    made = dataclasses.replace(
        case,
        title=HOSTILE,
        scorer=HOSTILE,
        model_id=HOSTILE,
        dataset=HOSTILE,
        summary={HOSTILE: HOSTILE},
        kinds=[HOSTILE] * 22,
        names=[HOSTILE, "\udcff\n.png", *[HOSTILE] * 20],
    )
    clean = Parsed(write_page(tmp_path, dataclasses.replace(made, kinds=case.kinds))[0].read_text("utf-8"))
    path, told = write_page(tmp_path, made)
    page = Parsed(path.read_text("utf-8"))
    assert page.open == [] and page.text.count(HOSTILE) > 20
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in clean.tags} - {"script"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert json.loads(told.read_text())["pictures"][1]["name"] == "\udcff\n.png"


@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1)])
def test_few_grey_pictures_without_masks_and_threshold(scene: Scene, tmp_path: Path, counts: tuple[int, int]) -> None:
    made = evaluated(scene, *counts, channels=1)
    made = dataclasses.replace(made, masks=None, pixels=None, measures=measure(made.scores, made.anomalous))
    path, told = write_page(tmp_path, made)
    text = " ".join(Parsed(path.read_text("utf-8")).text)
    assert "The model has no threshold" in text and "Pixel AUROC" not in text
    assert json.loads(told.read_text())["pixels"] is None
    shown = [shown.index for group in find_cases(made) for shown in group.cases]
    assert sorted(shown) == list(range(sum(counts)))  # each once
    assert {shown.verdict for group in find_cases(made) for shown in group.cases} == {None}


def test_one_score_for_all_and_nothing_to_look_at(case: Evaluated, tmp_path: Path) -> None:
    for value in (0.0, 7.0):
        scores = np.full(22, value)
        bare = dataclasses.replace(
            case, scores=scores, measures=measure(scores, case.anomalous, value), look=None, see=None
        )
        text = " ".join(Parsed(write_page(tmp_path, bare)[0].read_text("utf-8")).text)
        assert "0 of 10 anomalous pictures raise an alarm" in text and "heat maps" not in text


def test_cases_are_in_order(case: Evaluated) -> None:
    surest, hardest, odd = find_cases(case, each=4)
    scores = case.scores
    assert [shown.index for shown in surest.cases] == (12 + np.argsort(-scores[12:]))[:4].tolist()
    assert [shown.index for shown in hardest.cases] == (12 + np.argsort(scores[12:]))[:4].tolist()
    assert [shown.index for shown in odd.cases] == np.argsort(-scores[:12])[:4].tolist()
    for group in (surest, hardest, odd):
        for shown in group.cases:
            assert case.threshold is not None
            alarm = bool(scores[shown.index] > case.threshold)
            names = ("missed", "found") if case.anomalous[shown.index] else ("passed", "false alarm")
            assert shown.verdict == names[alarm]


def test_a_heat_map_glows_where_it_is_hot_and_outlines_the_mask(case: Evaluated) -> None:
    masks = np.zeros((22, 32, 32), np.bool_)
    masks[12:, 20:28, 4:12] = True
    heats = np.zeros((22, 32, 32), np.float32)
    heats[12:, 4:12, 20:28] = 5.0

    def look(indices: npt.NDArray[np.intp]) -> tuple[Picture, Floats, Floats]:
        grey = np.full((len(indices), 32, 32, 3), 90, np.uint8)
        return grey, np.zeros(grey.shape, np.float32), heats[indices]

    surest = find_cases(dataclasses.replace(case, masks=masks, look=look))[0].cases[0]
    heat, original, rebuilt = (
        np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.int64)
        for jpeg in (surest.heat, surest.original, surest.rebuilt)
    )
    assert heat.shape == (192, 192, 3)
    assert heat[48, 144].sum() > 2 * heat[180, 180].sum()  # the hot square against what is cold
    for image in (heat, original):
        edge, inside = image[120, 40], image[144, 48]
        assert edge[1] > edge[2] + 60 and abs(int(inside[1] - inside[2])) < 12  # green there, grey within
    assert abs(rebuilt - 128).max() <= 2


def test_refuses_what_does_not_fit(case: Evaluated, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="21 names for 22 scores"):
        dataclasses.replace(case, names=case.names[1:])
    with pytest.raises(ValueError, match="measures are of 22 scores, not 21"):
        dataclasses.replace(
            case, **{k: getattr(case, k)[1:] for k in ("scores", "anomalous", "kinds", "names", "masks")}
        )
    assert case.look is not None
    shown = case.look
    with pytest.raises(ValueError, match=r"look gave .* heat \[15, 32, 32\] for 16 pictures"):
        write_page(tmp_path, dataclasses.replace(case, look=lambda i: (*shown(i)[:2], shown(i)[2][1:])))
    assert list(tmp_path.iterdir()) == []


def test_embedding_keeps_neighbours_and_repeats() -> None:
    rng = np.random.default_rng(0)
    anomalous = np.arange(60) >= 40
    features = rng.normal(0, 0.1, (60, 80)).astype(np.float32)
    features[anomalous, 0] += 8
    places = embed(features, seed=2)
    assert places is not None and places.shape == (60, 3) and np.isfinite(places).all()
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    assert (anomalous[gaps.argmin(axis=1)] == anomalous).all()
    again = embed(features, seed=2)
    assert again is not None and np.array_equal(again, places)


def test_embedding_draws_enough_of_the_rarer_kind() -> None:
    anomalous = np.zeros(300, np.bool_)
    anomalous[::15] = True  # 20
    chosen = some(anomalous, points=60)
    assert len(chosen) == 60 and anomalous[chosen].sum() == 15 and (np.diff(chosen) > 0).all()
    assert some(anomalous[:40], points=60).tolist() == list(range(40))


def test_embedding_of_next_to_nothing() -> None:
    assert embed(np.ones((20, 5), np.float32)) is None
    assert embed(np.eye(5, dtype=np.float32)) is None
    one = embed(np.arange(20, dtype=np.float32)[:, None] * 1e30)
    assert one is not None and np.isfinite(one).all()
    with pytest.raises(ValueError, match="no numbers"):
        embed(np.full((20, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"features are \[20\]"):
        embed(np.ones(20, np.float32))


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_opens_in_a_browser(browser: Browser, case: Evaluated, tmp_path: Path, width: int, scheme: str) -> None:
    names = [HOSTILE, *case.names[1:-1], "a" * 200 + ".png"]
    made = dataclasses.replace(case, names=names, kinds=[HOSTILE if k == "good" else k for k in case.kinds])
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        offline=True,
        java_script_enabled=True,
    )
    page = context.new_page()
    complaints: list[str] = []

    def opened(dialog: Dialog) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            complaints.append(request.url)

    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", opened)
    page.on("request", asked)
    page.goto(write_page(tmp_path, made)[0].as_uri(), timeout=60_000)
    assert page.title() == case.title
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = page.evaluate("document.images[0].currentSrc === document.querySelector('source').srcset")
    assert dark == (scheme == "dark")
    context.close()
    assert complaints == []
